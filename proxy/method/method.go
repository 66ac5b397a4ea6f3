package method

// Path leads to a field: the numbers of the fields from the top-level message down. It is empty
// when a method has no such field.
type Path []int32

// Method is what the proxy knows about one method. It must not be changed.
type Method struct {
	// Name is the name as it stands in a request: "/gitaly.RefService/FindBranch".
	Name string

	// Operation and Scope say what the method does and to what.
	Operation Operation
	Scope     Scope

	// ClientStream and ServerStream tell who sends more than one message.
	ClientStream bool
	ServerStream bool

	// Target leads to the repository that the call is for, Additional to a second repository of
	// the same storage that is resolved likewise. Repositories named elsewhere pass unchanged.
	Target     Path
	Additional Path

	// Storage leads to the name of the storage when the scope is a storage or a partition. A
	// few methods of that scope have no such field and cannot be routed.
	Storage   Path
	Partition Path

	// Hint leads to a repository near which a new one is placed unless the client names another.
	Hint Path

	// Turn and Kind tell how a mutator takes part in the order of commits and what it writes.
	Turn Turn
	Kind Kind

	// Update describes the same method when the repository exists already. It is nil unless the
	// method creates a repository or changes an existing one, whichever is needed.
	Update *Method

	// Transactional tells that the nodes vote on what the method does.
	Transactional bool

	// NeverWrites tells that the method is declared a mutator but changes nothing that a reader
	// can see, so its success without a vote outdates nobody.
	NeverWrites bool

	// ReceivePack tells that field 2 of the messages carries the input of git receive-pack. When
	// that has no commands, success without a vote outdates nobody.
	ReceivePack bool

	// Several tells that the method may consist of several writes, one after the other, so that a
	// failure may leave some of them.
	Several bool

	// Verify tells that nodes change something without a vote beside what they vote on, so that
	// the replicas have to be compared after each success.
	Verify bool

	// PrimaryOnly tells that equal replicas give different answers, so that the primary must
	// give it.
	PrimaryOnly bool

	// Anywhere tells that a call about a repository which is not known goes to any node, because
	// clients need that node's words for it.
	Anywhere bool
	// Sidechannel tells that bulk data travels outside the messages.
	Sidechannel bool

	// Local tells that the proxy has a handler of its own for the method.
	Local bool
}

// Creates tells whether the method makes a repository that is not there.
func (m *Method) Creates() bool { return m.Kind == KindCreation }

// Removes tells whether the method removes the repository.
func (m *Method) Removes() bool { return m.Kind == KindRemoval }
