package transaction_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// plays is how many random plays a run of the tests makes unless -rapid.checks says otherwise: a
// second's worth, since the rarest of the known mistakes showed up once in some thousand plays.
const plays = "2000"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", plays); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
