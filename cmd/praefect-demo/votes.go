package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// vote is a line of the proxy's log, which at level debug has one for every vote.
type vote struct {
	Message     string `json:"msg"`
	Transaction uint64 `json:"transaction_id"`
	Voter       string `json:"node"`
	Phase       string `json:"phase"`
	Hash        string `json:"vote"`
	Decision    string `json:"decision"`
}

// decision is how the proxy answered.
func (v vote) decision() string { return strings.ToLower(v.Decision) }

// voteMessage is the message of such lines.
const voteMessage = "vote decided"

// voteLog reads votes from the proxy's log as they come.
type voteLog struct {
	path   string
	offset int64
}

// next returns the votes that were logged since it was called last.
func (l *voteLog) next() (votes []vote, err error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("read votes: %w", err)
	}
	defer file.Close() //nolint:errcheck // It was only read.

	content, err := io.ReadAll(io.NewSectionReader(file, l.offset, 1<<62))
	if err != nil {
		return nil, fmt.Errorf("read votes: %w", err)
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1] // Whole lines only.
	l.offset += int64(len(content))

	for line := range bytes.Lines(content) {
		var v vote
		if json.Unmarshal(line, &v) == nil && v.Message == voteMessage {
			votes = append(votes, v)
		}
	}

	return votes, nil
}

// tabulate arranges votes in one line for each round: a voter's n-th vote belongs to its n-th
// round.
func tabulate(votes []vote) []string {
	type round struct {
		phase, hash string
		voters      []string
	}

	var rounds []*round
	cast := map[string]int{}
	for _, v := range votes {
		n := cast[v.Voter]
		cast[v.Voter]++
		if n == len(rounds) {
			rounds = append(rounds, &round{phase: v.Phase, hash: v.Hash})
		}
		r := rounds[n]

		answer := v.Voter + " " + v.decision()
		if v.Hash != r.hash || v.Phase != r.phase {
			answer = v.Voter + " differs, " + v.decision()
		}
		r.voters = append(r.voters, answer)
		slices.Sort(r.voters) // They come in any order.
	}

	lines := make([]string, 0, len(rounds))
	for i, r := range rounds {
		lines = append(lines, fmt.Sprintf("round %2d  %-12s %.10s  %s",
			i+1, r.phase, r.hash, strings.Join(r.voters, "  ")))
	}

	return lines
}
