package postgres

import _ "embed"

// Each statement is an operation of the contract or a part of one.

//go:embed sql/ping.sql
var pingSQL string

//go:embed sql/backend.sql
var backendSQL string

//go:embed sql/lookup.sql
var lookupSQL string

//go:embed sql/load.sql
var loadSQL string

//go:embed sql/paths.sql
var pathsSQL string

//go:embed sql/lock.sql
var lockSQL string

//go:embed sql/bound_idle.sql
var boundIdleSQL string

//go:embed sql/open_turn.sql
var openTurnSQL string

//go:embed sql/holdings.sql
var holdingsSQL string

//go:embed sql/close_turn.sql
var closeTurnSQL string

//go:embed sql/mark_turn.sql
var markTurnSQL string

//go:embed sql/record.sql
var recordSQL string

//go:embed sql/behind.sql
var behindSQL string

// invalidateChangedSQL is no statement by itself: it ends those that say so.
//
//go:embed sql/invalidate_changed.sql
var invalidateChangedSQL string

//go:embed sql/confirm.sql
var confirmSQL string

//go:embed sql/hasten.sql
var hastenSQL string

//go:embed sql/elect.sql
var electSQL string

//go:embed sql/create.sql
var createSQL string

//go:embed sql/complete.sql
var completeSQL string

//go:embed sql/delete.sql
var deleteSQL string

//go:embed sql/claim_removals.sql
var claimRemovalsSQL string

//go:embed sql/removed.sql
var removedSQL string

//go:embed sql/forget_removed.sql
var forgetRemovedSQL string

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

//go:embed sql/adopt.sql
var adoptSQL string

//go:embed sql/resolve.sql
var resolveSQL string

//go:embed sql/drop_turn.sql
var dropTurnSQL string

//go:embed sql/restore.sql
var restoreSQL string

//go:embed sql/settle.sql
var settleSQL string

//go:embed sql/announce.sql
var announceSQL string

//go:embed sql/announced.sql
var announcedSQL string

//go:embed sql/withdraw.sql
var withdrawSQL string

//go:embed sql/adopt_announcements.sql
var adoptAnnouncementsSQL string

//go:embed sql/verify.sql
var verifySQL string

//go:embed sql/claim_verifications.sql
var claimVerificationsSQL string

//go:embed sql/verified.sql
var verifiedSQL string

//go:embed sql/end_former.sql
var endFormerSQL string

//go:embed sql/enlist.sql
var enlistSQL string

//go:embed sql/renew.sql
var renewSQL string

//go:embed sql/invalidations.sql
var invalidationsSQL string

//go:embed sql/reports.sql
var reportsSQL string

//go:embed sql/timeline.sql
var timelineSQL string

//go:embed sql/prune_invalidations.sql
var pruneInvalidationsSQL string

//go:embed sql/prune_proxies.sql
var pruneProxiesSQL string

//go:embed sql/acknowledge.sql
var acknowledgeSQL string

//go:embed sql/acknowledged.sql
var acknowledgedSQL string

//go:embed sql/resign.sql
var resignSQL string

//go:embed sql/listen.sql
var listenSQL string

//go:embed sql/probe.sql
var probeSQL string

//go:embed sql/deficient_edge.sql
var deficientEdgeSQL string

//go:embed sql/deficient.sql
var deficientSQL string

//go:embed sql/assign.sql
var assignSQL string

//go:embed sql/appoint.sql
var appointSQL string

//go:embed sql/track.sql
var trackSQL string

//go:embed sql/forget.sql
var forgetSQL string

//go:embed sql/untracked.sql
var untrackedSQL string

//go:embed sql/unverify.sql
var unverifySQL string

//go:embed sql/probe_write.sql
var probeWriteSQL string

//go:embed sql/legacy_present.sql
var legacyPresentSQL string

//go:embed sql/legacy_serving.sql
var legacyServingSQL string

//go:embed sql/legacy_read.sql
var legacyReadSQL string

//go:embed sql/import_taken.sql
var importTakenSQL string

//go:embed sql/export_blocked.sql
var exportBlockedSQL string

//go:embed sql/export_read.sql
var exportReadSQL string

//go:embed sql/export_stale.sql
var exportStaleSQL string

//go:embed sql/export_known.sql
var exportKnownSQL string

//go:embed sql/claim_audits.sql
var claimAuditsSQL string

//go:embed sql/end_audit.sql
var endAuditSQL string

//go:embed sql/release_audits.sql
var releaseAuditsSQL string

//go:embed sql/lose_replica.sql
var loseReplicaSQL string

//go:embed sql/count_sweep.sql
var countSweepSQL string

//go:embed sql/list_turns.sql
var listTurnsSQL string

//go:embed sql/leaders.sql
var leadersSQL string

//go:embed sql/known.sql
var knownSQL string

//go:embed sql/list_repairs.sql
var listRepairsSQL string

//go:embed sql/append_entries.sql
var appendEntriesSQL string

//go:embed sql/prune_entries.sql
var pruneEntriesSQL string

//go:embed sql/list_entries.sql
var listEntriesSQL string

//go:embed sql/count_unavailable.sql
var countUnavailableSQL string

//go:embed sql/count_repairs.sql
var countRepairsSQL string

//go:embed sql/count_audits.sql
var countAuditsSQL string

//go:embed sql/count_work.sql
var countWorkSQL string

//go:embed sql/vitals.sql
var vitalsSQL string

//go:embed sql/clock.sql
var clockSQL string

//go:embed sql/unenrolled.sql
var unenrolledSQL string

//go:embed sql/enrol.sql
var enrolSQL string

//go:embed sql/surplus.sql
var surplusSQL string

//go:embed sql/retire.sql
var retireSQL string

//go:embed sql/claim_retired.sql
var claimRetiredSQL string

//go:embed sql/end_retirement.sql
var endRetirementSQL string

//go:embed sql/begin_walk.sql
var beginWalkSQL string

//go:embed sql/end_walk.sql
var endWalkSQL string
