package postgres

import _ "embed"

// Each statement is one operation of the contract.

//go:embed sql/ping.sql
var pingSQL string

//go:embed sql/lookup.sql
var lookupSQL string

//go:embed sql/load.sql
var loadSQL string

//go:embed sql/paths.sql
var pathsSQL string

//go:embed sql/record.sql
var recordSQL string

//go:embed sql/confirm.sql
var confirmSQL string

//go:embed sql/hasten.sql
var hastenSQL string

//go:embed sql/verify.sql
var verifySQL string

//go:embed sql/elect.sql
var electSQL string

//go:embed sql/create.sql
var createSQL string

//go:embed sql/renew_creations.sql
var renewCreationsSQL string

//go:embed sql/complete.sql
var completeSQL string

//go:embed sql/delete.sql
var deleteSQL string

//go:embed sql/claim_removals.sql
var claimRemovalsSQL string

//go:embed sql/removed.sql
var removedSQL string

//go:embed sql/claim_repairs.sql
var claimRepairsSQL string

//go:embed sql/renew_repair.sql
var renewRepairSQL string

//go:embed sql/join_repair.sql
var joinRepairSQL string

//go:embed sql/empty_replica.sql
var emptyReplicaSQL string

//go:embed sql/finish_repair.sql
var finishRepairSQL string

//go:embed sql/postpone_repair.sql
var postponeRepairSQL string
