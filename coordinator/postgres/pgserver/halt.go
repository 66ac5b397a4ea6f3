package pgserver

import (
	"context"
	"fmt"
	"io"
)

// Mode is how a server is stopped.
type Mode string

const (
	// Fast ends all sessions, writes everything to the disk, and stops.
	Fast Mode = "fast"
	// Immediate stops at once, as a crash would; the next start recovers from the log.
	Immediate Mode = "immediate"
)

// Halt tells the server to stop and to keep its data. It does not wait until it has. A committed
// change survives in both modes. Not to be used concurrently with Resume and Stop.
func (s *Server) Halt(mode Mode) error { return s.say(string(mode)) }

// Resume starts a halted server again, after it has stopped, and returns when it takes connections.
func (s *Server) Resume(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.say("start"); err != nil {
		return err
	}
	return s.await(ctx)
}

// say tells the supervisor a word.
func (s *Server) say(word string) error {
	if _, err := io.WriteString(s.lifeline, word+"\n"); err != nil {
		return fmt.Errorf("tell supervisor to %s: %w", word, err)
	}
	return nil
}
