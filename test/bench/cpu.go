package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc on Linux (USER_HZ is 100 for all architectures that
// matter).
const tick = 10 * time.Millisecond

// Positions of utime and stime after the name of the program in /proc/<pid>/stat.
const (
	fieldUser   = 11
	fieldSystem = 12
)

// cpuTime reads how much CPU time a process has used.
func cpuTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}

	// The name may contain blanks and parentheses; the last parenthesis ends it.
	text := string(content)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])

	var ticks int64
	for _, field := range []int{fieldUser, fieldSystem} {
		value, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse CPU time: %w", err)
		}
		ticks += value
	}

	return time.Duration(ticks) * tick, nil
}
