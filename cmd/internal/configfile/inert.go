package configfile

import "strings"

// inert tells whether a key is known, but without effect here, and why. A table stands for all
// keys in it.
func inert(key []string) (string, bool) {
	const (
		election  = "a primary is elected for each repository when it is needed"
		database  = "metadata is always in PostgreSQL"
		sessions  = "no connection to PostgreSQL needs a session of its own"
		repairing = "what needs repair follows from the replicas' rows, there is no queue"
		later     = "not part of this version"
		noTLS     = "there is no TLS listener in this version"
	)

	reasons := map[string]string{
		"auto_migrate":            "run praefect sql-migrate",
		"background_verification": later,
		"database.host_no_proxy":  sessions,
		"database.port_no_proxy":  sessions,
		"database.session_pooled": sessions,
		"failover":                election,
		"i_understand_my_election_strategy_is_unsupported" +
			"_and_will_be_removed_without_warning": election,
		"logging.dir":                                      "logs go to standard output",
		"logging.sentry_dsn":                               later,
		"logging.sentry_environment":                       later,
		"memory_queue_enabled":                             database,
		"prometheus.scrape_timeout":                        later,
		"prometheus_exclude_database_from_default_metrics": later,
		"reconciliation":                                   repairing,
		"replication":                                      repairing,
		"repositories_cleanup":                             later,
		"sentry":                                           later,
		"tls":                                              noTLS,
		"tls_listen_addr":                                  noTLS,
		"virtual_storage.node.primary":                     election,
	}

	for depth := range key {
		if why, ok := reasons[strings.Join(key[:depth+1], ".")]; ok {
			return why, true
		}
	}

	return "", false
}
