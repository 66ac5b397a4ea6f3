package configfile

import "strings"

// inert tells whether a key is known, but without effect here, and why. A table stands for all
// keys in it.
func inert(key []string) (string, bool) {
	const (
		election  = "a primary is elected for each repository when it is needed"
		database  = "metadata is always in PostgreSQL"
		repairing = "what needs repair follows from the replicas' rows, at once"
	)

	reasons := map[string]string{
		"auto_migrate": "run praefect sql-migrate",
		"failover":     election,
		"i_understand_my_election_strategy_is_unsupported" +
			"_and_will_be_removed_without_warning": election,
		"logging.dir":                        "logs go to standard output",
		"logging.sentry_dsn":                 "use sentry.sentry_dsn",
		"logging.sentry_environment":         "use sentry.sentry_environment",
		"memory_queue_enabled":               database,
		"reconciliation.scheduling_interval": repairing,
		"virtual_storage.node.primary":       election,
	}

	for depth := range key {
		if why, ok := reasons[strings.Join(key[:depth+1], ".")]; ok {
			return why, true
		}
	}

	return "", false
}
