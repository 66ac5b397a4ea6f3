package main

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// outcomeKey is the trailer that says what became of a write; outcomeNone means that it surely
	// did not happen, outcomeRecorded that it did, whatever the status, and outcomePartial that of
	// several writes some did.
	outcomeKey      = "praefect-outcome"
	outcomeNone     = "none"
	outcomeRecorded = "recorded"
	outcomePartial  = "partial"
)

// errDeclined says that a node has answered a push without doing all that was asked for.
var errDeclined = errors.New("push declined")

// answer is what a client knows of its write.
type answer struct {
	err error
	// outcome is the trailer, empty if none came.
	outcome string
}

func answered(err error, trailer metadata.MD) answer {
	return answer{err: err, outcome: strings.Join(trailer.Get(outcomeKey), ",")}
}

// acknowledged says that the write was promised to stay.
func (a answer) acknowledged() bool { return a.err == nil }

// stands says that the write was promised to stay although the call has failed.
func (a answer) stands() bool { return a.outcome == outcomeRecorded }

// begun says that something of it was promised to stay.
func (a answer) begun() bool {
	return a.outcome == outcomeRecorded || a.outcome == outcomePartial
}

// nothing says that the write surely did not happen.
func (a answer) nothing() bool { return a.err != nil && a.outcome == outcomeNone }

// judge compares what was told of some references with how many of them are done.
func (a answer) judge(done, all int, atomic bool) error {
	switch {
	case a.acknowledged() && done < all:
		return fmt.Errorf("lost: %d of %d acknowledged references", done, all)
	case a.nothing() && done > 0:
		return fmt.Errorf("%d references are there of a push that surely failed", done)
	case atomic && a.stands() && done < all:
		return fmt.Errorf("lost: %d of %d recorded references", done, all)
	case atomic && done%all != 0:
		return fmt.Errorf("torn: %d of %d references", done, all)
	}

	return nil
}

// String is what the row shows.
func (a answer) String() string {
	word := "OK"
	switch {
	case errors.Is(a.err, errDeclined):
		word = "declined"
	case a.err != nil:
		word = status.Code(a.err).String()
	}
	if a.outcome == "" {
		return word
	}

	return word + "," + a.outcome
}

func exists(err error) bool { return status.Code(err) == codes.AlreadyExists }
