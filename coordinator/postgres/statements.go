package postgres

import _ "embed"

// Each statement is one operation of the contract.
var (
	//go:embed sql/ping.sql
	pingSQL string
	//go:embed sql/lookup.sql
	lookupSQL string
	//go:embed sql/load.sql
	loadSQL string
	//go:embed sql/paths.sql
	pathsSQL string
	//go:embed sql/record.sql
	recordSQL string
	//go:embed sql/confirm.sql
	confirmSQL string
	//go:embed sql/hasten.sql
	hastenSQL string
	//go:embed sql/verify.sql
	verifySQL string
	//go:embed sql/elect.sql
	electSQL string
	//go:embed sql/create.sql
	createSQL string
	//go:embed sql/renew_creations.sql
	renewCreationsSQL string
	//go:embed sql/complete.sql
	completeSQL string
	//go:embed sql/delete.sql
	deleteSQL string
	//go:embed sql/claim_removals.sql
	claimRemovalsSQL string
	//go:embed sql/removed.sql
	removedSQL string
	//go:embed sql/claim_repairs.sql
	claimRepairsSQL string
	//go:embed sql/renew_repair.sql
	renewRepairSQL string
	//go:embed sql/join_repair.sql
	joinRepairSQL string
	//go:embed sql/empty_replica.sql
	emptyReplicaSQL string
	//go:embed sql/finish_repair.sql
	finishRepairSQL string
	//go:embed sql/postpone_repair.sql
	postponeRepairSQL string
)
