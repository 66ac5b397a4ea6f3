package main

import (
	"strings"

	"praefect/transaction/failpoint"
)

// victim is who is killed.
type victim string

const (
	victimProxy     victim = "proxy"
	victimPrimary   victim = "primary"
	victimSecondary victim = "secondary"
	victimDatabase  victim = "postgresql"
	// victimFrozen is the proxy too, which goes on when others have taken over what it was doing.
	victimFrozen victim = "frozen-proxy"
)

// trial is one case.
type trial struct {
	point  failpoint.Point
	victim victim
	scene  scene
}

// String is the name under which the case is selected and reported.
func (t trial) String() string {
	return strings.Join([]string{string(t.point), string(t.victim), t.scene.name}, "/")
}

// matrix lists all cases: each point with each victim, in every scene that passes it.
func matrix() []trial {
	var all []trial
	for _, passing := range []struct {
		scene  scene
		points []failpoint.Point
	}{
		{atomicPush(), []failpoint.Point{
			failpoint.Routed, failpoint.FannedOut, failpoint.TurnTaken, failpoint.IntentDurable,
			failpoint.PreparedWon, failpoint.FirstCommitTold, failpoint.Confirmed,
			failpoint.Recorded, failpoint.BeforeAnswer,
		}},
		{slowPush(), []failpoint.Point{failpoint.Answered}},
		{serialPush(), []failpoint.Point{
			failpoint.FirstCommitTold, failpoint.Confirmed, failpoint.Recorded,
		}},
		{secondPush(), []failpoint.Point{
			failpoint.PreparedWon, failpoint.FirstCommitTold, failpoint.Confirmed,
			failpoint.Recorded,
		}},
		{setHooks(), []failpoint.Point{
			failpoint.IntentDurable, failpoint.PreparedWon, failpoint.FirstCommitTold,
			failpoint.Confirmed, failpoint.Recorded,
		}},
		{deletion(), []failpoint.Point{failpoint.IntentDurable, failpoint.Ended}},
		{prune(), []failpoint.Point{
			failpoint.Announced, failpoint.FannedOut, failpoint.Ended, failpoint.BeforeAnswer,
		}},
		{silentDeletion(), []failpoint.Point{
			failpoint.Announced, failpoint.FirstCommitTold, failpoint.Recorded,
		}},
		{creation(), []failpoint.Point{
			failpoint.RowInserted, failpoint.FannedOut, failpoint.PreparedWon,
			failpoint.FirstCommitTold, failpoint.CreationRecorded, failpoint.CreationCompleted,
		}},
		{removal(), []failpoint.Point{failpoint.RowDeleting, failpoint.ReplicasRemoved}},
		{election(), []failpoint.Point{failpoint.Elected}},
		{recovery(), []failpoint.Point{
			failpoint.Adopted, failpoint.Compared, failpoint.Resolved,
		}},
		{repair(), []failpoint.Point{failpoint.Joined, failpoint.Copied}},
	} {
		for _, point := range passing.points {
			for _, who := range []victim{
				victimProxy, victimPrimary, victimSecondary, victimDatabase,
			} {
				all = append(all, trial{point: point, victim: who, scene: passing.scene})
			}
		}
	}

	return append(all, frozen()...)
}

// frozen lists the points at which a proxy that freezes leaves nodes waiting, or not.
func frozen() []trial {
	var all []trial
	for _, passing := range []scene{atomicPush(), setHooks()} {
		for _, point := range []failpoint.Point{
			failpoint.IntentDurable, failpoint.PreparedWon, failpoint.FirstCommitTold,
			failpoint.Confirmed, failpoint.Recorded,
		} {
			all = append(all, trial{point: point, victim: victimFrozen, scene: passing})
		}
	}

	return append(all,
		trial{point: failpoint.CreationRecorded, victim: victimFrozen, scene: creation()},
		trial{point: failpoint.Compared, victim: victimFrozen, scene: recovery()})
}
