package node

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// serversMetadata is the metadata key under which a caller says how other storages are reached.
const serversMetadata = "gitaly-servers"

// server is how the node of a storage is reached.
type server struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// serverOf finds a storage in the metadata of a call.
func serverOf(ctx context.Context, storage string) (server, error) {
	values := metadata.ValueFromIncomingContext(ctx, serversMetadata)
	if len(values) == 0 {
		return server{}, failf(codes.InvalidArgument, "%s metadata not set", serversMetadata)
	}
	decoded, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil {
		return server{}, failf(codes.InvalidArgument, "decode %s: %w", serversMetadata, err)
	}
	var servers map[string]server
	if err := json.Unmarshal(decoded, &servers); err != nil {
		return server{}, failf(codes.InvalidArgument, "parse %s: %w", serversMetadata, err)
	}

	found, ok := servers[storage]
	if !ok {
		return server{}, failf(codes.InvalidArgument, "%s lacks %q", serversMetadata, storage)
	}

	return found, nil
}

// dialing turns an address into what gRPC dials, and the security of the connection.
func dialing(address string) (string, credentials.TransportCredentials, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "tcp":
		return "passthrough:///" + strings.TrimPrefix(rest, "//"), insecure.NewCredentials(), nil
	case "tls":
		config := &tls.Config{MinVersion: tls.VersionTLS12}

		return "passthrough:///" + strings.TrimPrefix(rest, "//"), credentials.NewTLS(config), nil
	case "unix":
		return "unix:" + strings.TrimPrefix(rest, "//"), insecure.NewCredentials(), nil
	default:
		return "", nil, failf(codes.InvalidArgument, "invalid address of source: %q", address)
	}
}

// source is a repository on another node.
type source struct {
	message      *gitalypb.Repository
	repositories gitalypb.RepositoryServiceClient
	refs         gitalypb.RefServiceClient
	ssh          gitalypb.SSHServiceClient
	pools        gitalypb.ObjectPoolServiceClient

	sidechannels *sidechannel.Registry
	conn         *grpc.ClientConn
	link         *backchannel.Client
}

// reach connects to the node of a repository that is to be copied. The caller closes the source.
func (n *Node) reach(ctx context.Context, message *gitalypb.Repository) (*source, error) {
	if message.GetStorageName() == "" || message.GetRelativePath() == "" {
		return nil, failf(codes.InvalidArgument, "source repository not set")
	}
	at, err := serverOf(ctx, message.GetStorageName())
	if err != nil {
		return nil, err
	}
	target, security, err := dialing(at.Address)
	if err != nil {
		return nil, err
	}

	log := n.log.With(zap.String("source", message.GetStorageName()))
	sidechannels := sidechannel.NewRegistry(log)
	link := backchannel.NewClient(security,
		backchannel.Services{Sidechannel: sidechannels.Accept}, log, backchannel.DefaultConfig())
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(link),
		grpc.WithPerRPCCredentials(auth.Credentials(at.Token, nil)),
		grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to source: %w", err), link.Close())
	}

	return &source{
		message:      message,
		repositories: gitalypb.NewRepositoryServiceClient(conn),
		refs:         gitalypb.NewRefServiceClient(conn),
		ssh:          gitalypb.NewSSHServiceClient(conn),
		pools:        gitalypb.NewObjectPoolServiceClient(conn),
		sidechannels: sidechannels, conn: conn, link: link,
	}, nil
}

func (s *source) close() error {
	if err := s.conn.Close(); err != nil {
		return errors.Join(fmt.Errorf("close connection to source: %w", err), s.link.Close())
	}

	return s.link.Close()
}

// failed gives an error of the source the code that tells whoever wants the copy whether there is
// anything to copy.
func (s *source) failed(what string, err error) error {
	if status.Code(err) == codes.NotFound {
		return failf(codes.NotFound, "invalid source repository: %s: %w", what, err)
	}

	return failf(codes.Unavailable, "%s: %w", what, err)
}

// state is what a copy must become: every reference by name, and where HEAD points.
type state struct {
	references []reference
	head       string
}

func (s state) equal(other state) bool {
	return s.head == other.head && slices.EqualFunc(s.references, other.references,
		func(a, b reference) bool { return a.name == b.name && a.object == b.object })
}

// list asks for all references, whatever the node hides from fetches.
func (s *source) list(ctx context.Context) (state, error) {
	answer, err := s.refs.FindDefaultBranchName(ctx, &gitalypb.FindDefaultBranchNameRequest{
		Repository: s.message, HeadOnly: true,
	})
	if err != nil {
		return state{}, s.failed("ask for HEAD", err)
	}
	found := state{head: string(answer.GetName())}

	stream, err := s.refs.ListRefs(ctx, &gitalypb.ListRefsRequest{
		Repository: s.message, Patterns: [][]byte{[]byte("refs/")},
	})
	if err != nil {
		return state{}, s.failed("list references", err)
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return state{}, s.failed("list references", err)
		}
		for _, r := range response.GetReferences() {
			found.references = append(found.references,
				reference{name: string(r.GetName()), object: r.GetTarget()})
		}
	}
	slices.SortFunc(found.references, func(a, b reference) int {
		return strings.Compare(a.name, b.name)
	})

	return found, nil
}

// config returns the source's configuration file.
func (s *source) config(ctx context.Context) ([]byte, error) {
	stream, err := s.repositories.GetConfig(ctx, &gitalypb.GetConfigRequest{Repository: s.message})
	if err != nil {
		return nil, s.failed("get configuration", err)
	}

	return s.collect("get configuration", configMax, func() ([]byte, error) {
		response, err := stream.Recv()

		return response.GetData(), err
	})
}

// customHooks returns the source's custom hooks as an archive; nothing when it has none.
func (s *source) customHooks(ctx context.Context) ([]byte, error) {
	stream, err := s.repositories.GetCustomHooks(ctx,
		&gitalypb.GetCustomHooksRequest{Repository: s.message})
	if err != nil {
		return nil, s.failed("get custom hooks", err)
	}

	return s.collect("get custom hooks", customHooksMax, func() ([]byte, error) {
		response, err := stream.Recv()

		return response.GetData(), err
	})
}

// configMax bounds a configuration file.
const configMax = 16 << 20

// collect reads the data of a stream, which must not be larger than limit.
func (s *source) collect(
	what string, limit int, receive func() ([]byte, error),
) ([]byte, error) {
	var all []byte
	for {
		data, err := receive()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, s.failed(what, err)
		}
		if all = append(all, data...); len(all) > limit {
			return nil, failf(codes.ResourceExhausted, "%s: more than %d bytes", what, limit)
		}
	}
}
