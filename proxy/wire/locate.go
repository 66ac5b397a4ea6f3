package wire

import (
	"errors"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields of a repository.
const (
	numberStorageName  = 2
	numberRelativePath = 3
)

// maxDepth bounds how many messages may be around a string. The protocol has two: the pool or
// the header of a request, and the repository in it.
const maxDepth = 4

// errUTF8 says that a string is not one.
var errUTF8 = errors.New("string is not valid UTF-8")

// Repository is the part of a repository message by which calls are routed.
type Repository struct {
	StorageName  string
	RelativePath string
}

// Locate reads the repository that path leads to. It reports whether there is a message at all;
// its fields may be empty even so. An error matches [ErrMalformed] or [ErrPath].
func Locate(msg []byte, path []int32) (Repository, bool, error) {
	var repository Repository
	storage, err := locate(msg, path, numberStorageName)
	if err != nil {
		return repository, false, err
	}
	relativePath, err := locate(msg, path, numberRelativePath)
	if err != nil {
		return repository, false, err
	}
	repository.StorageName = string(msg[storage.valueStart:storage.end])
	repository.RelativePath = string(msg[relativePath.valueStart:relativePath.end])
	return repository, storage.enclosed, nil
}

// LocateString reads the string that path leads to. It is empty when there is none. An error
// matches [ErrMalformed] or [ErrPath].
func LocateString(msg []byte, path []int32) (string, error) {
	if len(path) == 0 {
		return "", ErrPath
	}
	last := len(path) - 1
	found, err := locate(msg, path[:last], path[last])
	if err != nil {
		return "", err
	}
	return string(msg[found.valueStart:found.end]), nil
}

// LocateBytes reads the bytes that path leads to, which share the memory of msg. They are empty
// when there are none. An error matches [ErrMalformed] or [ErrPath].
func LocateBytes(msg []byte, path []int32) ([]byte, error) {
	if len(path) == 0 || len(path) > maxDepth {
		return nil, ErrPath
	}
	last := len(path) - 1
	found, err := find(msg, path[:last], path[last])
	if err != nil {
		return nil, err
	}
	return msg[found.valueStart:found.end], nil
}

// span is one enclosing message: where its length starts, where its content starts and ends.
type span struct {
	length, start, end int
}

// location says where a string is, or where it would have to be added.
type location struct {
	// enclosed tells that the message which the path leads to occurs.
	enclosed bool
	// present tells that the string occurs in it. Otherwise start, valueStart and end are all
	// the end of the last occurrence of the message.
	present bool
	// start is where the length of the string starts, valueStart where its bytes do.
	start, valueStart, end int
	// spans are the enclosing messages from the outermost inwards, as many as depth says.
	spans [maxDepth]span
	depth int
}

// search walks a message for one string. Its result is the last occurrence.
type search struct {
	msg    []byte
	path   []int32
	number protowire.Number
	spans  [maxDepth]span
	found  location
}

// locate finds the string with the given number in the message that path leads to.
func locate(msg []byte, path []int32, number int32) (location, error) {
	if len(path) > maxDepth {
		return location{}, ErrPath
	}
	found, err := find(msg, path, number)
	if err != nil {
		return location{}, err
	}
	if found.present && !utf8.Valid(msg[found.valueStart:found.end]) {
		return location{}, &SyntaxError{
			Offset: found.valueStart, Path: append(slices.Clone(path), number), Err: errUTF8,
		}
	}
	return found, nil
}

// find finds what has a length and the given number in the message that path leads to.
func find(msg []byte, path []int32, number int32) (location, error) {
	s := search{msg: msg, path: path, number: protowire.Number(number)}
	if err := s.walk(0, len(msg), 0); err != nil {
		return location{}, err
	}
	return s.found, nil
}

// walk looks at the fields of the message that the first depth numbers of the path lead to.
func (s *search) walk(start, end, depth int) error {
	innermost := depth == len(s.path)
	if innermost {
		s.enter(end, depth)
	}
	for at := start; at < end; {
		number, kind, n := protowire.ConsumeTag(s.msg[at:end])
		if n < 0 {
			return s.malformed(at, depth, n)
		}
		value := at + n
		n = protowire.ConsumeFieldValue(number, kind, s.msg[value:end])
		if n < 0 {
			return s.malformed(value, depth, n)
		}
		at = value + n
		if kind != protowire.BytesType {
			continue
		}
		if err := s.field(number, span{length: value, end: at}, depth); err != nil {
			return err
		}
	}
	return nil
}

// malformed tells of a place in the message that the first depth numbers of the path lead to.
func (s *search) malformed(offset, depth, code int) error {
	return &SyntaxError{
		Offset: offset, Path: slices.Clone(s.path[:depth]), Err: protowire.ParseError(code),
	}
}

// enter notes that the message occurs once more. The string found in an earlier occurrence
// stays the result: the occurrences are merged.
func (s *search) enter(end, depth int) {
	s.found.enclosed = true
	if s.found.present {
		return
	}
	s.found.start, s.found.valueStart, s.found.end = end, end, end
	s.found.spans, s.found.depth = s.spans, depth
}

// field looks at one field that has a length: the string itself or a message around it.
func (s *search) field(number protowire.Number, at span, depth int) error {
	_, n := protowire.ConsumeVarint(s.msg[at.length:at.end])
	at.start = at.length + n
	if depth < len(s.path) {
		if number != protowire.Number(s.path[depth]) {
			return nil
		}
		s.spans[depth] = at
		return s.walk(at.start, at.end, depth+1)
	}
	if number == s.number {
		s.found.present = true
		s.found.start, s.found.valueStart, s.found.end = at.length, at.start, at.end
		s.found.spans, s.found.depth = s.spans, depth
	}
	return nil
}
