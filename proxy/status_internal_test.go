package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/relay"
)

// sentinels returns the texts of the exported errors of a package, by name.
func sentinels(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var names []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		for name, object := range objects(file) {
			if object == token.VAR && strings.HasPrefix(name, "Err") {
				names = append(names, name)
			}
		}
	}
	return names
}

// objects returns what a file declares at its top.
func objects(file *ast.File) map[string]token.Token {
	declared := map[string]token.Token{}
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range value.Names {
					declared[name.Name] = general.Tok
				}
			}
		}
	}
	return declared
}

// folders are the packages whose errors can reach a client of the proxy, by the prefix of their
// names: all below this one, but for those whose errors end in workers or when the proxy starts,
// and what it decides with.
func folders(t *testing.T) map[string]string {
	t.Helper()
	others := []string{
		"certificate", "digest", "githttp", "replicate", "telemetry", "tracing",
	}
	found := map[string]string{
		"": ".", "coordinator.": "../coordinator",
		"transaction.": "../transaction", "registry.": "../transaction/registry",
	}
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range entries {
		name := entry.Name()
		sources, err := filepath.Glob(filepath.Join(name, "*.go"))
		require.NoError(t, err)
		if entry.IsDir() && len(sources) > 0 && !slices.Contains(others, name) {
			found[name+"."] = name
		}
	}
	return found
}

func TestEverySentinelHasACode(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("status.go")
	require.NoError(t, err)
	count := 0
	for prefix, folder := range folders(t) {
		for _, name := range sentinels(t, folder) {
			count++
			require.True(t, bytes.Contains(table, []byte("{err: "+prefix+name+",")),
				"status.go has no rule for %s%s", prefix, name)
		}
	}
	rules := statusTable()
	require.Len(t, rules, count, "one rule for each sentinel")
	for i, one := range rules {
		for _, other := range rules[:i] {
			require.NotErrorIs(t, one.err, other.err, "two rules for one sentinel")
		}
		require.NotEqual(t, codes.OK, one.code)
		require.NotEqual(t, codes.Unknown, one.code)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	node := status.Error(codes.NotFound, "nf")
	tests := map[string]struct {
		ctx  context.Context //nolint:containedctx // a table of arguments
		err  error
		code codes.Code
		text string
	}{
		"plain":         {t.Context(), errors.New("boom"), codes.Internal, "boom"},
		"of a node":     {t.Context(), node, codes.NotFound, "nf"},
		"unknown":       {t.Context(), status.Error(codes.Unknown, "boom"), codes.Internal, "boom"},
		"cancelled":     {t.Context(), context.Canceled, codes.Internal, "context canceled"},
		"client gone":   {ended, node, codes.Canceled, "nf"},
		"client's time": {late, errors.New("boom"), codes.DeadlineExceeded, "boom"},
		"wrapped status": {
			t.Context(), fmt.Errorf("wrap: %w", node), codes.NotFound,
			"wrap: rpc error: code = NotFound desc = nf",
		},
		"bare": {
			t.Context(), fmt.Errorf("begin: %w", coordinator.ErrRepositoryNotFound),
			codes.NotFound, "repository not found",
		},
		"with its facts": {
			t.Context(), fmt.Errorf("begin: %w", coordinator.ErrBusy),
			codes.Unavailable, "begin: repository busy",
		},
		"in doubt whatever the cause": {
			t.Context(), fmt.Errorf("%w: %w", coordinator.ErrMetadataUnavailable,
				coordinator.ErrOutcomeUnknown),
			codes.Internal, "metadata are unavailable: outcome of the write is unknown",
		},
	}
	table := statuses{table: statusTable()}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := status.Convert(table.of(tc.ctx, tc.err))
			require.Equal(t, tc.code, got.Code())
			require.Equal(t, tc.text, got.Message())
		})
	}
	require.NoError(t, table.of(ended, nil))
}

func TestStatusKeepsDetails(t *testing.T) {
	t.Parallel()
	with, err := status.New(codes.Aborted, "a").WithDetails(&errdetails.ErrorInfo{Reason: "r"})
	require.NoError(t, err)
	got := status.Convert(statuses{}.of(t.Context(), fmt.Errorf("wrap: %w", with.Err())))
	require.Len(t, got.Details(), 1)
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	node := status.Error(codes.Unavailable, "node")
	tests := map[string]struct {
		answer   relay.Answer
		outcome  coordinator.Outcome
		finished error
		want     error
	}{
		"well": {
			answer: relay.Answer{Ended: true}, outcome: coordinator.OutcomeRecorded,
		},
		"primary refuses": {answer: relay.Answer{Ended: true, Err: node}, want: node},
		"primary refuses after a record": {
			answer:  relay.Answer{Ended: true, Err: node},
			outcome: coordinator.OutcomeRecorded, want: node,
		},
		"primary lost, nothing changed": {answer: relay.Answer{Err: node}, want: node},
		"primary lost, in doubt": {
			answer:  relay.Answer{Err: node},
			outcome: coordinator.OutcomeUnknown, want: ErrPrimaryLost,
		},
		"primary overdue": {
			answer: relay.Answer{Cause: relay.ErrPrimaryOverdue}, want: relay.ErrPrimaryOverdue,
		},
		"primary overdue after a record": {
			answer:  relay.Answer{Cause: relay.ErrPrimaryOverdue},
			outcome: coordinator.OutcomeRecorded, want: ErrPrimaryLost,
		},
		"client gone": {
			answer:  relay.Answer{Cause: context.Canceled, Err: node, Ended: true},
			outcome: coordinator.OutcomeRecorded, want: context.Canceled,
		},
		"must not be acknowledged": {
			answer:  relay.Answer{Ended: true},
			outcome: coordinator.OutcomeUnknown, finished: coordinator.ErrOutcomeUnknown,
			want: coordinator.ErrOutcomeUnknown,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := verdict(tc.answer, tc.outcome, tc.finished)
			require.ErrorIs(t, got, tc.want)
			if tc.want != nil && tc.outcome != coordinator.OutcomeNone && !tc.answer.Ended {
				retried := []codes.Code{codes.Unavailable, codes.Aborted}
				code := status.Code(statuses{table: statusTable()}.of(t.Context(), got))
				require.NotContains(t, retried, code)
			}
		})
	}
}
