package backend

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Address is where a node listens, as its configuration says it.
type Address struct {
	// Target is what the gRPC client resolves.
	Target string
	// TLS tells whether connections are secured.
	TLS bool
	// Unix tells whether it is a socket on this machine.
	Unix bool
}

// ParseAddress understands tcp://host:port, tls://host:port, unix:/path,
// unix:///path, dns:[//authority/]host[:port] and dns+tls:[//authority/]host[:port].
// The name behind tcp and tls is looked up anew for each connection, and the
// first address that answers is used; behind dns calls are spread over all
// addresses.
func ParseAddress(raw string) (Address, error) {
	scheme, rest, found := strings.Cut(raw, ":")
	if !found || rest == "" {
		return Address{}, invalid(raw)
	}
	switch scheme {
	case "tcp", "tls":
		host, err := remote(raw)
		return Address{Target: "passthrough:///" + host, TLS: scheme == "tls"}, err
	case "unix":
		return local(raw, rest)
	case "dns", "dns+tls":
		return named(raw, rest, scheme == "dns+tls")
	default:
		return Address{}, invalid(raw)
	}
}

func invalid(raw string) error {
	return fmt.Errorf("invalid connection string: %q", raw)
}

// remote returns host and port of a URL that has nothing else.
func remote(raw string) (string, error) {
	parsed, err := url.Parse(raw)
	switch {
	case err != nil:
		return "", fmt.Errorf("invalid connection string: %w", err)
	case parsed.Path != "":
		return "", fmt.Errorf("remote addresses should not have a path: %q", parsed.Path)
	case parsed.Hostname() == "":
		return "", errors.New("remote addresses should have a host")
	case parsed.Port() == "":
		return "", errors.New("remote addresses should have a port")
	}
	return parsed.Host, nil
}

func local(raw, rest string) (Address, error) {
	path, slashes := strings.CutPrefix(rest, "//")
	if path == "" || slashes && !strings.HasPrefix(path, "/") {
		return Address{}, invalid(raw)
	}
	return Address{Target: "unix:" + path, Unix: true}, nil
}

func named(raw, rest string, tls bool) (Address, error) {
	name := rest
	if authority, slashes := strings.CutPrefix(rest, "//"); slashes {
		_, name, _ = strings.Cut(authority, "/")
	}
	if name == "" || strings.HasPrefix(name, "/") {
		return Address{}, invalid(raw)
	}
	return Address{Target: "dns:" + rest, TLS: tls}, nil
}
