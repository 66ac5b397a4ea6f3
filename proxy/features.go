package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
)

// featurePrefix begins the keys of feature flags; the flag's name follows, with dashes.
const featurePrefix = "gitaly-feature-"

// defaultFeatures are the flags of Gitaly 18.9 and what the existing Praefect sends for each that
// its client does not mention.
func defaultFeatures() map[string]bool {
	return map[string]bool{
		"bundle_generation":            false,
		"bundle_uri":                   false,
		"burdenmonitor_track_commands": false,
		"fetch_remote_proactive_auth":  false,
		"git_master":                   false,
		"gpg_signing":                  true,
		"leftover_migration":           false,
		"limit_unauthenticated":        true,
		"log_git_traces":               false,
		"mailmap_options":              true,
		"new_repo_reftable_backend":    false,
		"praefect_serialized_write":    false,
		"receive_pack_trace2_hook":     false,
		"ref_iterator":                 true,
		"reftable_migration":           false,
		"snapshot_dry_run_stats":       false,
		"snapshot_filter":              false,
	}
}

// pin is a feature flag that every node gets the same value of.
type pin struct {
	key    string
	values []string // shared by all calls, never changed
}

// pins returns the flags in the order of their names.
func pins(configured map[string]bool) []pin {
	features := defaultFeatures()
	maps.Copy(features, configured)
	all := make([]pin, 0, len(features))
	for _, name := range slices.Sorted(maps.Keys(features)) {
		all = append(all, pin{
			key:    featurePrefix + strings.ReplaceAll(name, "_", "-"),
			values: slices.Clip([]string{fmt.Sprint(features[name])}),
		})
	}
	return all
}

// fix adds the flags that the client did not set. Left to itself each node takes the default of its
// own version: in the middle of an upgrade they would do different things to the same call, and
// vote differently.
func fix(md metadata.MD, all []pin) {
	for _, flag := range all {
		if len(md[flag.key]) == 0 {
			md[flag.key] = flag.values
		}
	}
}

func validateFeatures(configured map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(configured)) {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return fmt.Errorf("%w: %q is no name of a feature flag: lower-case letters, digits "+
				"and _", ErrInvalidConfig, name)
		}
	}
	return nil
}
