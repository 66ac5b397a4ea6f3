package proxy_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
)

// promised is a row of docs/compatibility.md: the answer to a situation.
type promised struct{ code, text string }

// promises reads the tables of answers, by situation.
func promises(t *testing.T) map[string]promised {
	t.Helper()
	text, err := os.ReadFile("../docs/compatibility.md")
	require.NoError(t, err)
	rows := map[string]promised{}
	inside := false
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.Trim(line, "|\n"), " | ")
		switch {
		case strings.HasPrefix(line, "| Situation "):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			require.Len(t, columns, 3, line)
			situation := strings.TrimSpace(columns[0])
			require.NotContains(t, rows, situation, "twice")
			rows[situation] = promised{
				code: columns[1], text: strings.Trim(strings.TrimSpace(columns[2]), "`"),
			}
		}
	}
	return rows
}

// trial provokes a situation and returns what the client is told.
type trial func(ctx context.Context, c *cluster) error

// TestCompatibility provokes every situation of the document, and compares the answers.
func TestCompatibility(t *testing.T) {
	t.Parallel()
	trials := refusedTrials()
	maps.Copy(trials, availabilityTrials())
	maps.Copy(trials, ownTrials())
	rows := promises(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(rows)), slices.Collect(maps.Keys(trials)),
		"situations of the document, and situations that are provoked here")
	for situation, provoke := range trials {
		t.Run(situation, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(s *settings) { s.own = own })
			c.onAll(refExists, func(*visit) error {
				return status.Error(codes.FailedPrecondition, "as the node said")
			})
			want := rows[situation]
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			said := status.Convert(provoke(ctx, c))
			require.Equal(t, want.code, said.Code().String(), said.Message())
			if end, open := strings.CutPrefix(want.text, "\u2026"); open {
				require.True(t, strings.HasSuffix(said.Message(), end), said.Message())
				return
			}
			require.Equal(t, strings.TrimSpace(want.text), said.Message())
		})
	}
}

// asked is a trial that sends one message.
func asked(method string, message proto.Message) trial {
	return func(ctx context.Context, c *cluster) error {
		return request(method, message)(ctx, c.client)
	}
}

// hinted is a creation with hints.
func hinted(hints ...string) trial {
	return func(ctx context.Context, c *cluster) error {
		ctx = metadata.NewOutgoingContext(ctx, metadata.MD{"gitaly-partitioning-hint": hints})
		return request(createRepo, &gitalypb.CreateRepositoryRequest{
			Repository: repository(virtualStorage, "new"),
		})(ctx, c.client)
	}
}

// admitted is a read by a client with other credentials.
func admitted(options ...grpc.DialOption) trial {
	return func(ctx context.Context, c *cluster) error {
		options := append(slices.Clone(options),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		return request(refExists, exists(virtualStorage, "a"))(ctx, c.dialPlain(options...))
	}
}

func linked(pool *gitalypb.Repository) trial {
	return asked("/gitaly.ObjectPoolService/LinkRepositoryToObjectPool",
		&gitalypb.LinkRepositoryToObjectPoolRequest{
			Repository: target(), ObjectPool: &gitalypb.ObjectPool{Repository: pool},
		})
}

func optimized(path string) trial {
	return asked(optimize, &gitalypb.OptimizeRepositoryRequest{
		Repository: repository(virtualStorage, path),
	})
}

func refusedTrials() map[string]trial {
	const find = "/gitaly.RemoteService/FindRemoteRepository"
	return map[string]trial{
		"no token": admitted(),
		"token of another secret": admitted(
			grpc.WithPerRPCCredentials(auth.Credentials("another", nil))),
		"message above 4 MiB": asked(refExists,
			&gitalypb.RefExistsRequest{Ref: make([]byte, 4<<20)}),
		"stream without a message": func(ctx context.Context, c *cluster) error {
			stream, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostReceivePack(ctx)
			if err != nil {
				return err
			}
			if err := stream.CloseSend(); err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
		"method that neither proxy nor nodes know": asked(
			"/gitaly.RefService/Nonsense", exists("a", "b")),
		"call about a partition": asked("/gitaly.PartitionService/BackupPartition",
			&gitalypb.BackupPartitionRequest{StorageName: virtualStorage}),
		"repository missing":         asked(refExists, &gitalypb.RefExistsRequest{}),
		"repository without storage": asked(refExists, exists("", "a")),
		"repository without path":    asked(refExists, exists(virtualStorage, "")),
		"repository in a virtual storage that is not configured": asked(
			refExists, exists("other", "a")),
		"malformed message": func(ctx context.Context, c *cluster) error {
			return c.client.Invoke(ctx, refExists, &raw{[]byte{0x0a, 0x7f, 1}}, &raw{},
				grpc.ForceCodecV2(rawCodec{}))
		},
		"additional repository in another storage": linked(repository("other", "none")),
		"several partitioning hints":               hinted("a", "b"),
		"storage missing in a call about a storage": asked(
			find, &gitalypb.FindRemoteRepositoryRequest{}),
		"virtual storage of such a call not configured": asked(
			find, &gitalypb.FindRemoteRepositoryRequest{StorageName: "other"}),
		"unknown repository, read": asked(
			refExists, exists(virtualStorage, "none")),
		"unknown repository, write": asked(
			writeRef, write(virtualStorage, "none")),
		"unknown repository, maintenance":           optimized("none"),
		"unknown additional repository":             linked(repository(virtualStorage, "none")),
		"unknown repository in a partitioning hint": hinted("none"),
		"unknown source of a fork": asked("/gitaly.RepositoryService/CreateFork",
			&gitalypb.CreateForkRequest{
				Repository:       repository(virtualStorage, "new"),
				SourceRepository: repository(virtualStorage, "none"),
			}),
		"creation of a repository that exists": asked(createRepo,
			&gitalypb.CreateRepositoryRequest{Repository: target()}),
		"vote on the public listener": asked("/gitaly.RefTransaction/VoteTransaction",
			&gitalypb.VoteTransactionRequest{TransactionId: 1}),
	}
}

// without is a trial while some nodes are not healthy.
func without(storages []string, then trial) trial {
	return func(ctx context.Context, c *cluster) error {
		for _, storage := range storages {
			c.sick.Store(storage, struct{}{})
		}
		return then(ctx, c)
	}
}

func availabilityTrials() map[string]trial {
	all := []string{"node-1", "node-2", "node-3"}
	read := asked(refExists, &gitalypb.RefExistsRequest{Repository: target()})
	return map[string]trial{
		"no node is healthy, read": without(all, read),
		"no node is healthy, read of a storage": without(all, asked(
			"/gitaly.RemoteService/FindRemoteRepository",
			&gitalypb.FindRemoteRepositoryRequest{StorageName: virtualStorage})),
		"no node is healthy, maintenance": without(all, optimized(relativePath)),
		"too few nodes are healthy, write": without(all[1:],
			asked(writeRef, &gitalypb.WriteRefRequest{Repository: target()})),
		"status of a node": read,
	}
}

func ownTrials() map[string]trial {
	const service = "/gitaly.RepositoryService/"
	const pools = "/gitaly.ObjectPoolService/"
	elsewhere, unknown := repository("other", "a"), repository(virtualStorage, "none")
	removed := func(repository *gitalypb.Repository) trial {
		return asked(service+"RemoveRepository",
			&gitalypb.RemoveRepositoryRequest{Repository: repository})
	}
	existing := func(repository *gitalypb.Repository) trial {
		return asked(service+"RepositoryExists",
			&gitalypb.RepositoryExistsRequest{Repository: repository})
	}
	pooled := func(repository *gitalypb.Repository) trial {
		return asked(pools+"GetObjectPool",
			&gitalypb.GetObjectPoolRequest{Repository: repository})
	}
	deleted := func(pool *gitalypb.ObjectPool) trial {
		return asked(pools+"DeleteObjectPool",
			&gitalypb.DeleteObjectPoolRequest{ObjectPool: pool})
	}
	return map[string]trial{
		"RemoveRepository, unknown":                        removed(unknown),
		"RemoveRepository, repository missing":             removed(nil),
		"RemoveRepository, virtual storage not configured": removed(elsewhere),
		"RepositoryExists, repository missing":             existing(nil),
		"RepositoryExists, virtual storage not configured": existing(elsewhere),
		"GetObjectPool, repository without path":           pooled(repository(virtualStorage, "")),
		"GetObjectPool, unknown":                           pooled(unknown),
		"DeleteObjectPool, pool missing":                   deleted(nil),
		"DeleteObjectPool, no path of a pool": deleted(
			&gitalypb.ObjectPool{Repository: unknown}),
		"DeleteObjectPool, unknown": deleted(&gitalypb.ObjectPool{Repository: repository(
			virtualStorage, "@pools/ab/cd/abcd"+strings.Repeat("0", 60)+".git")}),
		"WalkRepos, storage missing":                walked(""),
		"WalkRepos, virtual storage not configured": walked("other"),
	}
}

// walked lists repositories.
func walked(storage string) trial {
	return func(ctx context.Context, c *cluster) error {
		stream, err := gitalypb.NewInternalGitalyClient(c.client).WalkRepos(ctx,
			&gitalypb.WalkReposRequest{StorageName: storage})
		for err == nil {
			_, err = stream.Recv()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}
