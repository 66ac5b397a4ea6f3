package main

import "context"

// stay leaves the cluster to the user until the context ends.
func stay(ctx context.Context, n *narrator) error {
	return onStage(ctx, n, func(s *stage) error {
		n.step("The cluster is yours; Ctrl-C ends it")
		n.saw("push to     %s", s.remote())
		n.saw("praefect    %s  token %s", s.Proxy().Address, s.Token())
		n.saw("metrics     %s", s.Proxy().Metrics)
		n.saw("PostgreSQL  %s", s.Database().DSN())
		n.saw("disks, logs %s", s.Dir())
		<-ctx.Done()
		n.saw("ending")

		return nil
	})
}
