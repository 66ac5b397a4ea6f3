package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/auth"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

const (
	// expirySoon is when a certificate should be renewed, expiryNow when at once.
	expirySoon = 30 * 24 * time.Hour
	expiryNow  = 24 * time.Hour
	// clockProbe is how wrong a token is dated on purpose: nodes bear 30 s, so one whose clock is
	// more than the rest off refuses it.
	clockProbe = 20 * time.Second
)

// consultations are the examinations of all nodes: plain connections as dial-nodes makes them, and
// the multiplexed ones of the server, on which votes come back.
type consultations struct {
	config   *configfile.Loaded
	security credentials.TransportCredentials
	pool     *backend.Pool
}

func consultNodes(config *configfile.Loaded) (*consultations, error) {
	security, err := nodeSecurity(config)
	if err != nil {
		return nil, err
	}
	bounds := backend.DefaultConfig()
	bounds.Multiplexing, bounds.TLS = config.Multiplexing(), security
	pool, err := backend.Dial(config.Nodes(), backend.Dependencies{
		Votes: func(backend.Node) gitalypb.RefTransactionServer {
			return gitalypb.UnimplementedRefTransactionServer{}
		},
		Sidechannels: sidechannel.NewRegistry(zap.NewNop()),
		OnBroken:     func(backend.Node) {},
	}, zap.NewNop(), bounds)
	if err != nil {
		return nil, fmt.Errorf("dial nodes: %w", err)
	}

	return &consultations{config: config, security: security, pool: pool}, nil
}

func (n *consultations) close() {
	_ = n.pool.Close() // It was only asked questions.
}

func (n *consultations) examinations() []examination {
	var all []examination
	for _, node := range n.config.Nodes() {
		all = append(all, examination{
			area: node.VirtualStorage + "/" + node.Storage,
			run:  func(ctx context.Context, c *chart) { n.examine(ctx, c, node) },
		})
	}

	return all
}

// examine stops at what makes the rest impossible.
func (n *consultations) examine(ctx context.Context, c *chart, node backend.Node) {
	conn, err := dialPlain(node.Address, node.Token, n.security)
	if err != nil {
		c.add("route", stateFail, err.Error(), "correct the address of the node")

		return
	}
	defer conn.Close() //nolint:errcheck // It was only asked questions.
	if !examineRoute(ctx, c, conn, node) || !examineToken(ctx, c, conn, node) {
		return
	}
	n.examineNodeClock(ctx, c, node)
	if err := n.pool.Probe(ctx, node); err != nil {
		c.add("votes", stateFail, err.Error(), "the node answers plain calls, but not on the "+
			"connection on which its votes come back: is it a Gitaly, and is nothing in between "+
			"that takes connections apart, such as a load balancer for HTTP?")
	} else {
		c.ok("votes", "can come back on the connection of the calls")
	}
}

// examineRoute says whether the node answers, and by which certificate.
func examineRoute(
	ctx context.Context, c *chart, conn *grpc.ClientConn, node backend.Node,
) bool {
	var met peer.Peer
	client := grpc_health_v1.NewHealthClient(conn)
	answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&met))
	if err != nil {
		c.add("route", stateFail, node.Address+": "+status.Convert(err).Message(),
			"check that the node runs, that the address is right, that no firewall is in "+
				"between, and for tls:// that its certificate is signed by an authority that "+
				"is known here and names the host")

		return false
	}
	if answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		c.add("route", stateFail, "the node reports "+answer.GetStatus().String(),
			"see the log of the node")

		return false
	}
	asked := time.Now()
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err == nil {
		c.ok("route", "%s answers in %s", node.Address,
			time.Since(asked).Round(time.Microsecond))
	}
	if secured, ok := met.AuthInfo.(credentials.TLSInfo); ok {
		examineCertificate(c, secured.State)
	}

	return true
}

// examineCertificate looks at what a node has shown; that it is valid is known already.
func examineCertificate(c *chart, state tls.ConnectionState) {
	if len(state.PeerCertificates) == 0 {
		return
	}
	sayExpiry(c, state.PeerCertificates[0], tls.VersionName(state.Version))
}

// sayExpiry says how long a certificate is good for.
func sayExpiry(c *chart, shown *x509.Certificate, version string) {
	left := time.Until(shown.NotAfter)
	detail := fmt.Sprintf("%s, certificate for %v%v until %s", version, shown.DNSNames,
		shown.IPAddresses, shown.NotAfter.UTC().Format(time.DateOnly))
	switch {
	case left <= expiryNow:
		c.add("tls", stateFail, detail, "renew the certificate now: it expires, or has expired")
	case left <= expirySoon:
		c.add("tls", stateWarn, detail, "renew the certificate")
	default:
		c.ok("tls", "%s", detail)
	}
}

// examineToken asks something that needs the token.
func examineToken(
	ctx context.Context, c *chart, conn *grpc.ClientConn, node backend.Node,
) bool {
	info, err := gitalypb.NewServerServiceClient(conn).ServerInfo(ctx,
		&gitalypb.ServerInfoRequest{})
	switch code := status.Code(err); {
	case code == codes.OK:
	case refused(code):
		c.add("token", stateFail, status.Convert(err).Message(), "set the token of this node to "+
			"the auth token of its own configuration, and compare the clocks of both hosts")

		return false
	default:
		c.add("token", stateFail, status.Convert(err).Message(), "see the log of the node")

		return false
	}
	c.ok("token", "accepted, the node runs %s with Git %s",
		info.GetServerVersion(), info.GetGitVersion())
	p := &probe{
		address: node.Address, storages: map[string][]string{node.Storage: {node.VirtualStorage}},
	}
	if !p.compare(info.GetStorageStatuses()) {
		c.add("storage", stateFail, strings.Join(p.problems, "; "),
			"the name here has to be that of a storage in the node's configuration, and the node "+
				"must be able to write to its directory")
	} else {
		c.ok("storage", "%q is readable and writable", node.Storage)
	}

	return true
}

// refused says that a token was not accepted.
func refused(code codes.Code) bool {
	return code == codes.Unauthenticated || code == codes.PermissionDenied
}

// examineNodeClock finds out with tokens that are dated wrong how far the clock of the node is off;
// no call tells its time.
func (n *consultations) examineNodeClock(ctx context.Context, c *chart, node backend.Node) {
	if node.Token == "" {
		return
	}
	for _, shift := range []time.Duration{clockProbe, -clockProbe} {
		conn, err := dialSigned(node.Address, auth.Credentials(node.Token, func() time.Time {
			return time.Now().Add(shift)
		}), n.security)
		if err != nil {
			return
		}
		_, err = gitalypb.NewServerServiceClient(conn).ServerInfo(ctx,
			&gitalypb.ServerInfoRequest{})
		_ = conn.Close() // It was only asked a question.
		switch code := status.Code(err); {
		case code == codes.OK:
		case refused(code):
			c.add("clock", stateWarn, "differs by more than 10 s", "synchronise the clocks of "+
				"both hosts: tokens are refused when they differ by 30 s")

			return
		default:
			c.add("clock", stateWarn, "cannot be told: "+status.Convert(err).Message(), "")

			return
		}
	}
	c.ok("clock", "differs by less than 10 s")
}
