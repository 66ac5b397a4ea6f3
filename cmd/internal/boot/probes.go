package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"sync/atomic"

	"praefect/proxy"
)

// errStopping says that the server ends.
var errStopping = errors.New("stopping")

// phase is where a server stands in its life, for those who ask over HTTP.
type phase struct {
	// starting is the step that is under way; empty once everything serves, and never nil.
	starting atomic.Pointer[string]
	stopping atomic.Bool
}

func (p *phase) begins(step string) { p.starting.Store(&step) }

// err says why nothing is served because of where the server stands.
func (p *phase) err() error {
	if p.stopping.Load() {
		return errStopping
	}
	if step := *p.starting.Load(); step != "" {
		return fmt.Errorf("starting: %s", step)
	}

	return nil
}

// handleLive answers that the process runs.
func (s *server) handleLive(w http.ResponseWriter, _ *http.Request) { answer(w, nil) }

// handleReady answers whether calls can be served, and with status 503 why not.
func (s *server) handleReady(w http.ResponseWriter, _ *http.Request) {
	err := s.phase.err()
	if err == nil {
		err = s.ready()
	}
	answer(w, err)
}

func answer(w http.ResponseWriter, failed error) {
	body := map[string]string{"status": "ok"}
	code := http.StatusOK
	if failed != nil {
		body = map[string]string{"status": "failed", "reason": failed.Error()}
		code = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // Whoever asked is gone otherwise.
}

// logFilter reads from the environment which calls get a line in the log.
func logFilter() (filter proxy.LogFilter, err error) {
	for name, pattern := range map[string]**regexp.Regexp{
		"GITALY_LOG_REQUEST_METHOD_ALLOW_PATTERN": &filter.Allow,
		"GITALY_LOG_REQUEST_METHOD_DENY_PATTERN":  &filter.Deny,
	} {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		if *pattern, err = regexp.Compile(text); err != nil {
			return filter, fmt.Errorf("environment variable %s: %w", name, err)
		}
	}

	return filter, nil
}
