package configfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"praefect/proxy"
	"praefect/proxy/backend"
)

// findings collects what is wrong, each with the key that must be changed.
type findings struct{ all *multierror.Error }

// add appends one finding, or each finding of a multierror; nil is none.
func (f *findings) add(key string, err error) {
	var several *multierror.Error
	if !errors.As(err, &several) {
		several = &multierror.Error{Errors: []error{err}}
	}
	for _, one := range several.Errors {
		if one != nil {
			f.all = multierror.Append(f.all, fmt.Errorf("%s: %w", key, one))
		}
	}
}

func (f *findings) addf(key, format string, args ...any) {
	f.add(key, fmt.Errorf(format, args...))
}

// Validate reports everything that keeps the file from being used, all at once and each with its
// key: one finding as "key: text", several as a list with one line for each.
func (f *File) Validate() error {
	var found findings

	if f.ConfigCommand != "" {
		found.addf("config_command", "running a command for more configuration is not supported")
	}
	if f.ListenAddr == "" && f.SocketPath == "" {
		found.addf("listen_addr", "no listen address or socket path configured")
	}
	if f.GracefulStopTimeout < 0 {
		found.addf("graceful_stop_timeout", "%s is negative", f.GracefulStopTimeout)
	}
	found.add("logging", f.Logging.Config().Validate())
	if !slices.IsSorted(f.Prometheus.GRPCLatencyBuckets) {
		found.addf("prometheus.grpc_latency_buckets", "not in ascending order: %v",
			f.Prometheus.GRPCLatencyBuckets)
	}
	f.Auth.validate(&found)
	found.add("yamux", f.Multiplexing().Validate())
	found.add("transactions", f.Transactions.Registry().Validate())
	found.add("transactions", f.Transactions.Relay().Validate())
	f.Transactions.validate(&found)
	found.add("feature_flags", proxy.Config{Features: f.FeatureFlags}.Validate())
	f.validateStorages(&found)

	if found.all != nil {
		found.all.ErrorFormat = list
	}

	return found.all.ErrorOrNil()
}

// leaseMin: a lease has to outlive a slow statement and a pause of the garbage collector.
const leaseMin = Duration(time.Second)

func (t *Transactions) validate(found *findings) {
	found.add("transactions", t.Coordinator().Validate())
	if t.Lease != 0 && t.Lease < leaseMin {
		found.addf("transactions.lease", "%s is shorter than %s", t.Lease, leaseMin)
	}
	if t.LeaseMargin < 0 {
		found.addf("transactions.lease_margin", "%s is negative", t.LeaseMargin)
	}
	if !slices.Contains([]string{"", outageStrict, outageServe}, t.OutageReads) {
		found.addf("transactions.outage_reads", "%q is neither %q nor %q",
			t.OutageReads, outageStrict, outageServe)
	}
}

func (a *Auth) validate(found *findings) {
	switch {
	case a.TokenFile == "":
	case a.Token != "":
		found.addf("auth.token_file", "token and token_file are mutually exclusive")
	case a.fromFile == "":
		found.addf("auth.token_file", "the file is empty: nobody would need a token")
	default:
		found.add("auth.token_file", a.tokenFileMode())
	}
}

func (f *File) validateStorages(found *findings) {
	if len(f.VirtualStorages) == 0 {
		found.addf("virtual_storage", "no virtual storages configured")
	}

	seen := map[string]bool{}
	for i, storage := range f.VirtualStorages {
		key := fmt.Sprintf("virtual_storage[%d]", i)
		if seen[storage.Name] {
			found.addf(key+".name", "virtual storage %q is configured twice", storage.Name)
		}
		seen[storage.Name] = true

		found.add(key, storage.cluster().Validate())
		for j, node := range storage.Nodes {
			found.add(fmt.Sprintf("%s.node[%d].address", key, j), checkAddress(node.Address))
		}
	}
}

// checkAddress reports an address that no dialler understands.
func checkAddress(address string) error {
	if address == "" {
		return errors.New("all nodes must have an address")
	}
	_, err := backend.ParseAddress(address)

	return err
}

// list formats findings: a single one in a line, several below each other.
func list(all []error) string {
	if len(all) == 1 {
		return all[0].Error()
	}

	var b strings.Builder
	fmt.Fprintf(&b, "%d findings:", len(all))
	for _, one := range all {
		fmt.Fprintf(&b, "\n  %s", one)
	}

	return b.String()
}
