package configfile

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
)

// Finding is one thing that is wrong with a file.
type Finding struct {
	// Key is the dotted path of the key to change, elements of arrays as in
	// "virtual_storage[0].node[1].address"; empty when it is no single one.
	Key string
	// Message says what is wrong with the value and what is accepted.
	Message string
	// Tolerated findings do not keep a program from using the file: they are worth a warning.
	Tolerated bool
}

// String returns key and message in a line.
func (f Finding) String() string {
	if f.Key == "" {
		return f.Message
	}

	return f.Key + ": " + f.Message
}

// Path returns the key in pieces, as "configuration validate" prints it: elements of arrays are
// pieces of their own.
func (f Finding) Path() []string {
	if f.Key == "" {
		return nil
	}

	return strings.Split(strings.ReplaceAll(f.Key, "[", ".["), ".")
}

// findings collects what is wrong.
type findings struct{ all []Finding }

// add appends one finding, or each of a multierror; nil is none.
func (f *findings) add(key string, err error) {
	var several *multierror.Error
	if !errors.As(err, &several) {
		several = &multierror.Error{Errors: []error{err}}
	}
	for _, one := range several.Errors {
		if one != nil {
			f.all = append(f.all, Finding{Key: key, Message: one.Error()})
		}
	}
}

func (f *findings) addf(key, format string, args ...any) {
	f.add(key, fmt.Errorf(format, args...))
}

// tolerate appends a finding with which a server starts nevertheless.
func (f *findings) tolerate(key, format string, args ...any) {
	f.all = append(f.all, Finding{
		Key: key, Message: fmt.Sprintf(format, args...), Tolerated: true,
	})
}

func (f *findings) atLeast(key string, value, least int) {
	if value < least {
		f.addf(key, notInRange, value, least)
	}
}

func (f *findings) duration(key string, value Duration, least time.Duration) {
	if value < Duration(least) {
		f.addf(key, notInRange, value, least)
	}
}

// Texts that tools know from the existing release.
const (
	notInRange = "not in range: %v is not greater than or equal to %v"
	notSet     = "not set"
	blank      = "blank or empty"
)

// Findings returns everything that is wrong, in the order of the documentation.
func (f *File) Findings() []Finding {
	var found findings
	for _, check := range []func(*findings){
		f.validateServer, f.validateTLS, f.NodeTLS.validate, f.Auth.validate, f.Database.validate,
		f.validateWorkers, f.Yamux.validate, f.Transactions.validate, f.validateStorages,
		f.legacy.validate,
	} {
		check(&found)
	}

	return found.all
}

// Validate reports everything that keeps the file from being used, all at once and each with its
// key: one finding as "key: text", several as a list with one line for each.
func (f *File) Validate() error { return combined(f.Findings()) }

// combined makes one error of what is not tolerated.
func combined(found []Finding) error {
	var all *multierror.Error
	for _, finding := range found {
		if !finding.Tolerated {
			all = multierror.Append(all, errors.New(finding.String()))
		}
	}
	if all != nil {
		all.ErrorFormat = list
	}

	return all.ErrorOrNil()
}

// list formats findings: a single one in a line, several below each other.
func list(all []error) string {
	if len(all) == 1 {
		return all[0].Error()
	}

	var b strings.Builder
	fmt.Fprintf(&b, "%d findings:", len(all))
	for _, one := range all {
		fmt.Fprintf(&b, "\n  %s", one)
	}

	return b.String()
}
