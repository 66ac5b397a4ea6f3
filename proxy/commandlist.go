package proxy

import (
	"bytes"
	"strconv"
)

const (
	// A line begins with its length, in hexadecimal digits.
	lengthSize = len(flush)
	// lineHead is as much of a line as matters: its length and two object ids, of SHA-256 at most,
	// each with a blank.
	lineHead = lengthSize + 2*(64+1)
	// idMin is the length of the shorter of the two kinds of object ids.
	idMin = 40
)

// commandList reads the list of commands at the beginning of a push, in whatever pieces it comes.
// It keeps no more than the head of one line.
type commandList struct {
	// over says that nothing more is to be read: the list has ended, or is not understood.
	over bool
	// deletes says that some command deletes a reference, or may do so, several that there may be
	// more than one command.
	deletes, several bool
	found            bool

	head []byte
	// length is that of the line in hand, 0 while it is not known; skip is what is left of it.
	length, skip int
}

// read takes the next piece.
func (l *commandList) read(data []byte) {
	for len(data) > 0 && !l.over {
		if l.skip > 0 {
			n := min(l.skip, len(data))
			data, l.skip = data[n:], l.skip-n
			continue
		}
		want := lengthSize
		if l.length > 0 {
			want = min(l.length, lineHead)
		}
		n := min(want-len(l.head), len(data))
		l.head, data = append(l.head, data[:n]...), data[n:]
		if len(l.head) == want {
			l.take()
		}
	}
}

// take uses the length of a line, or the head of it.
func (l *commandList) take() {
	if l.length > 0 {
		l.look(l.head[lengthSize:])
		l.skip = l.length - len(l.head)
		l.head, l.length = l.head[:0], 0
		return
	}
	length, err := strconv.ParseUint(string(l.head), 16, 16)
	switch {
	case err == nil && length == 0:
		l.over = true
	case err != nil || length <= uint64(lengthSize):
		l.giveUp()
	default:
		l.length = int(length)
	}
}

// look tells what a line asks for: an old and a new object id, and a reference. Signed pushes, in
// which the commands are part of a certificate, may ask for anything.
func (l *commandList) look(line []byte) {
	if bytes.HasPrefix(line, []byte("shallow ")) {
		return
	}
	words := bytes.SplitN(line, []byte(" "), 3)
	if len(words) < 3 || len(words[1]) != len(words[0]) || len(words[0]) < idMin {
		l.giveUp()
		return
	}
	l.deletes = l.deletes || len(bytes.Trim(words[1], "0")) == 0
	l.several, l.found = l.found, true
}

func (l *commandList) giveUp() { l.over, l.deletes, l.several = true, true, true }
