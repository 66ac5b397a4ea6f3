package boot

import (
	"context"
	"errors"
	"fmt"
	"net"

	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/certificate"
)

// startCertificates reads certificates and follows their files from then on.
func (s *server) startCertificates(context.Context) (err error) {
	log := s.log.Named("certificate")
	s.nodes, err = certificate.Load("client", s.metrics, log, s.Config.NodeTLS.Security())
	if err != nil {
		return err
	}
	s.workers.run(s.nodes.Run)
	if s.Config.TLSListenAddr == "" {
		return nil
	}
	if s.Config.TLS.CertificatePath == "" { // No client could connect.
		return fmt.Errorf("%w: tls_listen_addr needs tls.certificate_path, which is not set",
			certificate.ErrKeyPair)
	}
	s.identity, err = certificate.Load("server", s.metrics, log, s.Config.TLS.Security())
	if err != nil {
		return err
	}
	s.workers.run(s.identity.Run)

	return nil
}

// door is one place where clients come in.
type door struct {
	address, schema string
	security        credentials.TransportCredentials
	listener        net.Listener
}

func (s *server) doors() []door {
	var doors []door
	for _, one := range []door{
		{address: s.Config.ListenAddr, schema: "tcp"},
		{address: s.Config.TLSListenAddr, schema: "tls"},
		{address: s.Config.Socket(), schema: "unix"},
	} {
		if one.address == "" {
			continue
		}
		one.security = insecure.NewCredentials()
		if one.schema == "tls" {
			one.security = s.identity.Server()
		}
		doors = append(doors, one)
	}

	return doors
}

// checkAddresses fails when another process listens where this one will. Whoever starts a proxy a
// second time by mistake must not take the lease away from the first, which has the same name: so
// this is found out before there is a lease. Nobody can connect yet.
func (s *server) checkAddresses(ctx context.Context) error {
	if s.Successor {
		return nil
	}
	for _, door := range s.doors() {
		listener, err := listen(ctx, door.address)
		if err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return fmt.Errorf("free %s: %w", door.address, err)
		}
	}

	return nil
}

// startListeners begins to accept calls. All addresses are taken before the first call is.
func (s *server) startListeners(ctx context.Context) error {
	doors := s.doors()
	for i := range doors {
		listener, err := s.listen(ctx, doors[i].address)
		if err != nil {
			return errors.Join(err, closeAll(doors))
		}
		doors[i].listener = listener
	}

	for _, door := range doors {
		s.log.Info("listening at address", zap.Stringer("address", door.listener.Addr()),
			zap.String("schema", door.schema))
		s.serving.run(func(context.Context) error {
			return s.front.Serve(door.listener, door.security)
		})
	}
	if s.Successor {
		if err := s.listenMetrics(ctx); err != nil {
			return err
		}
	}
	if s.Ready != nil {
		return s.Ready()
	}

	return nil
}

func closeAll(doors []door) error {
	var errs []error
	for _, door := range doors {
		if door.listener != nil {
			errs = append(errs, door.listener.Close())
		}
	}

	return errors.Join(errs...)
}
