package method

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// errMalformed is returned for a line of the table that cannot be read.
var errMalformed = errors.New("malformed table")

// The columns of a line.
const (
	columnName = iota
	columnOperation
	columnScope
	columnStream
	columnTarget
	columnAdditional
	columnStorage
	columnPartition
	columnHint
	columnTurn
	columnKind
	columnFlags
	columnCount
)

// absent stands for an empty column.
const absent = "-"

// parseMethod reads one line.
func parseMethod(columns []string) (*Method, error) {
	if len(columns) != columnCount {
		return nil, fmt.Errorf("%w: %d columns, not %d", errMalformed, len(columns), columnCount)
	}
	method := &Method{Name: "/gitaly." + columns[columnName]}
	err := errors.Join(
		parseWord(operations(), columns[columnOperation], &method.Operation),
		parseWord(scopes(), columns[columnScope], &method.Scope),
		parseStream(columns[columnStream], method),
		parsePath(columns[columnTarget], &method.Target),
		parsePath(columns[columnAdditional], &method.Additional),
		parsePath(columns[columnStorage], &method.Storage),
		parsePath(columns[columnPartition], &method.Partition),
		parsePath(columns[columnHint], &method.Hint),
		parseFlags(columns[columnFlags], method),
		parseWrite(columns[columnTurn], columns[columnKind], method),
	)
	if err != nil {
		return nil, err
	}
	return method, nil
}

// parseWrite reads how the method writes. Of two values the second is for a repository that
// exists already. The other columns must have been read before.
func parseWrite(turn, kind string, method *Method) error {
	turn, turnUpdate, two := strings.Cut(turn, "|")
	kind, kindUpdate, twoKinds := strings.Cut(kind, "|")
	if two != twoKinds {
		return fmt.Errorf("%w: two turns need two kinds of write", errMalformed)
	}
	if turn != absent {
		if err := parseWord(turns(), turn, &method.Turn); err != nil {
			return err
		}
	}
	if err := parseWord(kinds(), kind, &method.Kind); err != nil || !two {
		return err
	}
	update := *method
	method.Update = &update
	return errors.Join(
		parseWord(turns(), turnUpdate, &update.Turn),
		parseWord(kinds(), kindUpdate, &update.Kind),
	)
}

// parseWord reads one of the words, which stand in the order of the constants.
func parseWord[T ~uint8](words []string, text string, value *T) error {
	index := slices.Index(words, text)
	if index < 0 {
		return fmt.Errorf("%w: %q is none of %q", errMalformed, text, words)
	}
	*value = T(index)
	return nil
}

func parseStream(text string, method *Method) error {
	switch text {
	case "unary":
	case "client":
		method.ClientStream = true
	case "server":
		method.ServerStream = true
	case "bidi":
		method.ClientStream, method.ServerStream = true, true
	default:
		return fmt.Errorf("%w: unknown stream %q", errMalformed, text)
	}
	return nil
}

// parsePath reads field numbers with dots between them.
func parsePath(text string, path *Path) error {
	if text == absent {
		return nil
	}
	for part := range strings.SplitSeq(text, ".") {
		number, err := strconv.ParseInt(part, 10, 32)
		if err != nil || number < 1 {
			return fmt.Errorf("%w: field number %q", errMalformed, part)
		}
		*path = append(*path, int32(number))
	}
	return nil
}

// parseFlags reads the last column. A mutator of repositories is transactional unless it says
// otherwise.
func parseFlags(text string, method *Method) error {
	method.Transactional = method.Operation == Mutator && method.Scope == ScopeRepository
	if text == absent {
		return nil
	}
	flags := map[string]func(*Method){
		"never_writes":    func(m *Method) { m.NeverWrites = true },
		"receive_pack":    func(m *Method) { m.ReceivePack = true },
		"several":         func(m *Method) { m.Several = true },
		"verify":          func(m *Method) { m.Verify = true },
		"untransactional": func(m *Method) { m.Transactional = false },
		"primary_only":    func(m *Method) { m.PrimaryOnly = true },
		"anywhere":        func(m *Method) { m.Anywhere = true },
		"sidechannel":     func(m *Method) { m.Sidechannel = true },
		"local":           func(m *Method) { m.Local = true },
	}
	for flag := range strings.SplitSeq(text, ",") {
		set, known := flags[flag]
		if !known {
			return fmt.Errorf("%w: unknown flag %q", errMalformed, flag)
		}
		set(method)
	}
	return nil
}
