package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// DeniedUser is the identity (gl_id) of a user whom the stub of GitLab forbids every push.
const DeniedUser = "user-13"

// gitlab answers what the hooks of an unmodified Gitaly ask GitLab: it allows every push but those
// of [DeniedUser], and counts nothing. It runs in this process.
type gitlab struct {
	url    string
	server *http.Server
	served chan error
}

func startGitLab(ctx context.Context) (*gitlab, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}

	const prefix = "/api/v4/internal/"
	handler := http.NewServeMux()
	handler.HandleFunc("GET "+prefix+"check", replyWith(map[string]any{
		"api_version": "v4", "gitlab_version": "0", "gitlab_revision": "stub", "redis": true,
	}))
	handler.HandleFunc("POST "+prefix+"allowed", allowed)
	handler.HandleFunc("POST "+prefix+"pre_receive",
		replyWith(map[string]any{"reference_counter_increased": true}))
	handler.HandleFunc("POST "+prefix+"post_receive",
		replyWith(map[string]any{"reference_counter_decreased": true, "messages": []any{}}))

	g := &gitlab{
		url:    "http://" + listener.Addr().String(),
		server: &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout},
		served: make(chan error, 1),
	}
	go func() { g.served <- g.server.Serve(listener) }()

	return g, nil
}

// allowed decides about one push. Identities arrive split in two: kind and number.
func allowed(w http.ResponseWriter, request *http.Request) {
	var asked struct {
		UserID string `json:"user_id"`
	}
	if err := json.NewDecoder(request.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)

		return
	}
	if strings.TrimPrefix(asked.UserID, "user-") == strings.TrimPrefix(DeniedUser, "user-") {
		reply(w, http.StatusUnauthorized, map[string]any{
			"status": false, "message": "You are not allowed to push.",
		})

		return
	}
	reply(w, http.StatusOK, map[string]any{"status": true})
}

func replyWith(answer map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, answer) }
}

func reply(w http.ResponseWriter, code int, answer map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer) // Whoever is gone needs no answer.
}

func (g *gitlab) close() error {
	err := g.server.Close()
	if served := <-g.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}

	return err
}
