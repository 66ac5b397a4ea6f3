// Package succession lets a running program be replaced by a new process of itself, with another
// binary or another configuration, without a moment in which nobody listens.
//
// The new process inherits the listeners. While it starts, the old one goes on; when it says that
// it is ready, the old one is told to end, and no connection was refused meanwhile. When it does
// not get ready within a minute, or ends before, it is forgotten and the old one serves on.
//
// It does nothing about what both share beside listeners: two processes of one name live for as
// long as calls of the old one last.
//
// Environment, as the wrapper of the existing release sets it; a name with PRAEFECT instead of
// GITALY counts first:
//
//	GITALY_UPGRADES_ENABLED=true   SIGHUP replaces the process; otherwise it ends it
//	GITALY_PID_FILE                is written when the process is ready
//
// Safe for concurrent use. There is one in a process.
package succession

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cloudflare/tableflip"
	"go.uber.org/zap"
)

// ErrReplaced is why a process ends that has a successor.
var ErrReplaced = errors.New("a new process has taken over")

// readyTimeout is how long a successor may take to start. It waits for the database.
const readyTimeout = time.Minute

// Succession is this process between its predecessor, if there was one, and its successor.
type Succession struct {
	upgrader *tableflip.Upgrader
	log      *zap.Logger
	enabled  bool
}

// New returns nil when the environment asks for neither replacement nor a file with the process id.
func New(log *zap.Logger, getenv func(string) string) (*Succession, error) {
	pidFile := setting(getenv, "PID_FILE")
	enabled := strings.EqualFold(setting(getenv, "UPGRADES_ENABLED"), "true")
	if enabled && os.Getpid() == 1 {
		log.Warn("replacement without a break is not possible: the end of process 1 ends them all")
		enabled = false
	}
	if !enabled && pidFile == "" {
		return nil, nil //nolint:nilnil // Nothing was asked for, and nothing is wrong.
	}
	upgrader, err := tableflip.New(tableflip.Options{
		PIDFile: pidFile, UpgradeTimeout: readyTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare replacement: %w", err)
	}

	return &Succession{upgrader: upgrader, log: log, enabled: enabled}, nil
}

func setting(getenv func(string) string, name string) string {
	return cmp.Or(getenv("PRAEFECT_"+name), getenv("GITALY_"+name))
}

// Enabled says whether SIGHUP means [Succession.Replace]. It may be asked of nil.
func (s *Succession) Enabled() bool { return s != nil && s.enabled }

// Sockets are the listeners that successors inherit.
func (s *Succession) Sockets() *tableflip.Fds { return s.upgrader.Fds }

// Successor says whether this process takes the place of another one that lives.
func (s *Succession) Successor() bool { return s.upgrader.HasParent() }

// Ready tells the predecessor to end, and writes the file with the process id.
func (s *Succession) Ready() error {
	if err := s.upgrader.Ready(); err != nil {
		return fmt.Errorf("take over: %w", err)
	}

	return nil
}

// Replace starts a successor and returns when that is ready or has failed, which it logs.
func (s *Succession) Replace() {
	s.log.Info("starting a successor")
	if err := s.upgrader.Upgrade(); err != nil {
		s.log.Error("Upgrade failed", zap.Error(err))

		return
	}
	s.log.Info("Upgrade succeeded")
}

// Replaced is closed when a successor is ready. For nil it never is.
func (s *Succession) Replaced() <-chan struct{} {
	if s == nil {
		return nil
	}

	return s.upgrader.Exit()
}

// Stop ends what New began; a successor is no longer possible. It may be called on nil.
func (s *Succession) Stop() {
	if s != nil {
		s.upgrader.Stop()
	}
}
