package githttp

import (
	"net/http"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The services of Git that are offered.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// infoRefs ends the path by which a client asks for the references of a service.
const infoRefs = "/info/refs"

// target is what a request is for.
type target struct {
	// repository is the relative path, with the ending ".git".
	repository string
	// service is one of the services of Git.
	service string
	// advertise tells that the references are asked for, not the service itself.
	advertise bool
}

// parse reads method and URL of a request. Its error is a refusal.
func parse(r *http.Request) (target, error) {
	if repository, found := strings.CutSuffix(r.URL.Path, infoRefs); found {
		return parseRefs(r, repository)
	}
	for _, service := range []string{uploadPack, receivePack} {
		repository, found := strings.CutSuffix(r.URL.Path, "/"+service)
		if !found {
			continue
		}
		name, valid := relativePath(repository)
		if !valid {
			return target{}, notFound()
		}
		if r.Method != http.MethodPost {
			return target{}, wrongMethod(http.MethodPost)
		}
		return target{repository: name, service: service}, nil
	}
	return target{}, notFound()
}

// parseRefs reads a request for references.
func parseRefs(r *http.Request, repository string) (target, error) {
	name, valid := relativePath(repository)
	if !valid {
		return target{}, notFound()
	}
	if r.Method != http.MethodGet {
		return target{}, wrongMethod(http.MethodGet)
	}
	service := r.URL.Query().Get("service")
	if service != uploadPack && service != receivePack {
		return target{}, wrongService(service)
	}
	return target{repository: name, service: service, advertise: true}, nil
}

// relativePath returns the path of a repository below the storage. Only a clean path is one: a
// repository must not have two names.
func relativePath(urlPath string) (string, bool) {
	name, rooted := strings.CutPrefix(urlPath, "/")
	clean := rooted && path.Clean(urlPath) == urlPath
	if !clean || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", false
	}
	base := path.Base(name)
	return name, strings.HasSuffix(base, ".git") && base != ".git"
}
