package tracing

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"praefect/transaction"
	"praefect/transaction/registry"
)

// Observer returns what makes spans of the steps of a transaction, nil when nobody wants to see
// them.
func (c *Call) Observer() registry.Observer {
	if !c.recording() {
		return nil
	}
	return observer{c}
}

// observer makes spans of the steps of a transaction.
type observer struct{ call *Call }

// Voted makes the span of a vote, below the call to its node: from when it came to when the node
// was told what to do.
func (o observer) Voted(since time.Time, vote registry.Voted) {
	name := "vote " + strings.ToLower(vote.Phase.String())
	below := o.call.of(string(vote.Voter))
	o.call.step(below, name, since, func(span trace.Span) {
		span.SetAttributes(
			attribute.String("praefect.storage", string(vote.Voter)),
			attribute.String("praefect.phase", vote.Phase.String()),
			attribute.String("praefect.vote", vote.Vote.String()))
		if vote.Err != nil {
			fail(span, vote.Err)
			return
		}
		span.SetAttributes(attribute.String("praefect.decision", vote.Decision.String()))
		if vote.Decision != transaction.Commit {
			span.SetStatus(otelcodes.Error, vote.Decision.String())
		}
	})
}

// Waited makes the span of a wait for the turn.
func (o observer) Waited(since time.Time, err error) { o.call.Step("turn", since, err) }

// Recorded makes the span of a record.
func (o observer) Recorded(since time.Time, err error) { o.call.Step("record", since, err) }
