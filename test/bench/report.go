package main

import (
	"fmt"
	"strings"
	"time"
)

const (
	megabyte = 1 << 20
	gigabyte = 1 << 30
)

// comparison is the outcome of one workload.
type comparison struct {
	work   *workload
	direct result
	proxy  result
	other  *result
}

// line renders the comparison for people and programs.
func (c *comparison) line() string {
	var text strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&text, " "+format, args...) }

	text.WriteString("bench")
	add("name=%s", c.work.name)
	add("direct=%s proxy=%s ratio=%.3f", c.rate(&c.direct), c.rate(&c.proxy), c.ratio(&c.proxy))
	add("cpu_us=%.1f", cpuPerOperation(&c.proxy))
	if c.work.streams {
		add("cpu_s_gb=%.2f", cpuPerGigabyte(&c.proxy))
	}
	if !c.work.hot {
		add("ratio_cpu=%.3f", c.cpuRatio(&c.proxy))
	}
	add("p50_ms=%.2f direct_p50_ms=%.2f", millis(c.proxy.median()), millis(c.direct.median()))

	if c.other != nil {
		add("other=%s other_ratio=%.3f", c.rate(c.other), c.ratio(c.other))
		add("other_cpu_us=%.1f", cpuPerOperation(c.other))
		if c.work.streams {
			add("other_cpu_s_gb=%.2f", cpuPerGigabyte(c.other))
		}
		if !c.work.hot {
			add("other_ratio_cpu=%.3f", c.cpuRatio(c.other))
		}
		add("other_p50_ms=%.2f", millis(c.other.median()))
	}
	add("unit=%s", c.unit())

	return text.String()
}

func (c *comparison) unit() string {
	if c.work.streams {
		return "MB/s"
	}

	return "op/s"
}

func (c *comparison) perSecond(r *result) float64 {
	if c.work.streams {
		return float64(r.bytes) / megabyte / r.elapsed.Seconds()
	}

	return float64(r.operations) / r.elapsed.Seconds()
}

func (c *comparison) rate(r *result) string { return fmt.Sprintf("%.1f", c.perSecond(r)) }

func (c *comparison) ratio(r *result) float64 { return c.perSecond(r) / c.perSecond(&c.direct) }

// cpuRatio is what the ratio would be if nothing but the CPU time of clients, nodes and proxy
// counted. Unlike the ratio it does not depend on what else the machine does meanwhile.
func (c *comparison) cpuRatio(r *result) float64 {
	return cpuPerAll(&c.direct) / cpuPerAll(r)
}

func cpuPerAll(r *result) float64 { return r.all.Seconds() / float64(r.operations) }

func cpuPerOperation(r *result) float64 {
	return float64(r.cpu.Microseconds()) / float64(r.operations)
}

func cpuPerGigabyte(r *result) float64 {
	return r.cpu.Seconds() / (float64(r.bytes) / gigabyte)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
