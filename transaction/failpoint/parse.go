//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// anyPoint stands for all points.
const anyPoint Point = "*"

// points are those at which this process stops.
type points []*armedPoint

type armedPoint struct {
	point Point
	// nth is the arrival that counts, or 0 for each.
	nth    int64
	socket string
	// arrivals counts.
	arrivals atomic.Int64
}

func parse(text string) (points, error) {
	var all points
	if text == "" {
		return all, nil
	}
	for entry := range strings.SplitSeq(text, ",") {
		parsed, err := parsePoint(entry)
		if err != nil {
			return nil, fmt.Errorf("%w: PRAEFECT_FAILPOINTS: %q: %w", ErrInvalid, entry, err)
		}
		all = append(all, parsed)
	}
	return all, nil
}

func parsePoint(entry string) (*armedPoint, error) {
	left, socket, _ := strings.Cut(entry, "=")
	if socket == "" {
		return nil, errors.New("it names no socket")
	}
	name, number, counted := strings.Cut(left, ":")
	parsed := &armedPoint{point: Point(name), socket: socket}
	if parsed.point != anyPoint && !slices.Contains(Points(), parsed.point) {
		return nil, errors.New("there is no such point")
	}
	if !counted {
		return parsed, nil
	}
	nth, err := strconv.ParseInt(number, 10, 64)
	if err != nil || nth < 1 {
		return nil, errors.New("the first arrival is 1")
	}
	parsed.nth = nth
	return parsed, nil
}

// arrive counts an arrival and returns the socket to ask, if there is one.
func (p points) arrive(point Point) (socket string, stop bool) {
	for _, armed := range p {
		if armed.point != point && armed.point != anyPoint {
			continue
		}
		if n := armed.arrivals.Add(1); !stop && (armed.nth == 0 || armed.nth == n) {
			socket, stop = armed.socket, true
		}
	}
	return socket, stop
}
