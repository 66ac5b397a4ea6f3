package wire

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxEdits bounds how many repositories one message is given. The protocol has two.
const maxEdits = 2

// Each repository has two strings, and each string at most maxDepth messages around it, whose
// lengths change with it.
const (
	maxChanges = 2 * maxEdits
	maxSplices = maxChanges * (1 + maxDepth)
)

// Edit says that the repository which Path leads to becomes Repository. Its other fields stay.
type Edit struct {
	Path       []int32
	Repository Repository
}

// Rewrite appends msg to dst with new repositories in it, and returns the extended buffer. It
// allocates at most once, when dst has no room. An error matches [ErrMalformed], [ErrAbsent] or
// [ErrPath].
func Rewrite(dst, msg []byte, edits ...Edit) ([]byte, error) {
	var plan plan
	if err := plan.addEdits(msg, edits); err != nil {
		return nil, err
	}
	return plan.apply(dst, msg), nil
}

// RewriteString appends msg to dst with another string where path leads to, and returns the
// extended buffer. It allocates at most once, when dst has no room. An error matches
// [ErrMalformed], [ErrAbsent] or [ErrPath].
func RewriteString(dst, msg []byte, path []int32, value string) ([]byte, error) {
	if len(path) == 0 {
		return nil, ErrPath
	}
	last := len(path) - 1
	var plan plan
	if err := plan.add(msg, change{path[:last], path[last], value}); err != nil {
		return nil, err
	}
	return plan.apply(dst, msg), nil
}

// change is a new value for one string.
type change struct {
	path   []int32
	number int32
	value  string
}

// splice replaces the bytes from start to end: by the length of a message, or by a string with
// its length and, where there was none before, its tag.
type splice struct {
	start, end int
	depth      int // number of messages around it
	parent     int // start of the splice for the length of the innermost of them
	isLength   bool
	tag        protowire.Number // zero when the tag stays
	value      string
	length     int // of the message before
	grown      int // by how much it grows
}

// size returns how many bytes the splice puts in.
func (s *splice) size() int {
	if s.isLength {
		return protowire.SizeVarint(uint64(s.length + s.grown))
	}
	size := protowire.SizeBytes(len(s.value))
	if s.tag != 0 {
		size += protowire.SizeTag(s.tag)
	}
	return size
}

// appendTo appends the bytes that the splice puts in.
func (s *splice) appendTo(dst []byte) []byte {
	if s.isLength {
		return protowire.AppendVarint(dst, uint64(s.length+s.grown))
	}
	if s.tag != 0 {
		dst = protowire.AppendTag(dst, s.tag, protowire.BytesType)
	}
	return protowire.AppendString(dst, s.value)
}

// plan collects the splices of one rewrite. It lives on the stack.
type plan struct {
	splices [maxSplices]splice
	count   int
}

// add plans a new value for one string, and new lengths for the messages around it.
func (p *plan) add(msg []byte, c change) error {
	found, err := locate(msg, c.path, c.number)
	if err != nil {
		return err
	}
	if !found.enclosed {
		return ErrAbsent
	}
	for depth, around := range found.spans[:found.depth] {
		p.addLength(found, depth, around)
	}
	added := splice{
		start: found.start, end: found.end, depth: found.depth,
		parent: parent(found, found.depth), value: c.value,
	}
	if !found.present {
		added.tag = protowire.Number(c.number)
	} else if p.find(found.start) != nil {
		return fmt.Errorf("%w: two changes of one field", ErrPath)
	}
	p.splices[p.count] = added
	p.count++
	return nil
}

// addLength plans a new length for one enclosing message, unless another string in the same
// message did so already.
func (p *plan) addLength(found location, depth int, around span) {
	if p.find(around.length) != nil {
		return
	}
	p.splices[p.count] = splice{
		start: around.length, end: around.start, depth: depth, parent: parent(found, depth),
		isLength: true, length: around.end - around.start,
	}
	p.count++
}

// parent returns the start of the length of the message around what is at the given depth, or
// -1 at the top.
func parent(found location, depth int) int {
	if depth == 0 {
		return -1
	}
	return found.spans[depth-1].length
}

// find returns the splice that replaces what starts at start, and nil when there is none.
func (p *plan) find(start int) *splice {
	for i := range p.splices[:p.count] {
		if s := &p.splices[i]; s.start == start && s.end > s.start {
			return s
		}
	}
	return nil
}

// addEdits plans new values for both strings of each repository.
func (p *plan) addEdits(msg []byte, edits []Edit) error {
	if len(edits) > maxEdits {
		return fmt.Errorf("%w: %d changes", ErrPath, len(edits))
	}
	for _, edit := range edits {
		storage := change{edit.Path, numberStorageName, edit.Repository.StorageName}
		if err := p.add(msg, storage); err != nil {
			return err
		}
		relativePath := change{edit.Path, numberRelativePath, edit.Repository.RelativePath}
		if err := p.add(msg, relativePath); err != nil {
			return err
		}
	}
	return nil
}

// apply computes the new lengths and writes the whole message.
func (p *plan) apply(dst, msg []byte) []byte {
	splices := p.splices[:p.count]
	grown := p.measure(splices)
	slices.SortStableFunc(splices, order)
	dst = slices.Grow(dst, len(msg)+grown)
	at := 0
	for i := range splices {
		dst = append(dst, msg[at:splices[i].start]...)
		dst = splices[i].appendTo(dst)
		at = splices[i].end
	}
	return append(dst, msg[at:]...)
}

// order sorts splices by place. Where two messages end together, what is added to the inner one
// comes first.
func order(a, b splice) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.depth, a.depth))
}

// measure hands what each splice adds or takes away to the message around it, from the innermost
// outwards, and returns by how much the whole grows.
func (p *plan) measure(splices []splice) int {
	grown := 0
	for depth := maxDepth; depth >= 0; depth-- {
		for i := range splices {
			s := &splices[i]
			if s.depth != depth {
				continue
			}
			delta := s.size() - (s.end - s.start) + s.grown
			if s.parent < 0 {
				grown += delta
				continue
			}
			p.find(s.parent).grown += delta
		}
	}
	return grown
}
