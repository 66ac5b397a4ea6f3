package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/grpclog"

	"praefect/cmd/internal/boot"
	"praefect/cmd/internal/configfile"
	"praefect/cmd/internal/logging"
	"praefect/cmd/internal/succession"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "start the server",
		Description: "Logs to standard output. SIGTERM or SIGINT end it gracefully within " +
			"graceful_stop_timeout, a second one at once. SIGHUP does the same, or, with " +
			"GITALY_UPGRADES_ENABLED=true in the environment, starts a new process that " +
			"takes over without a break.",
		Action: serve,
	}
}

// garbagePercent is how much garbage may pile up, relative to what is in use. Little is in use and
// each call leaves garbage, so that the default of 100 collects many times a second: a fifth of the
// processor time in a benchmark of small reads.
const garbagePercent = 400

// collectLess sets garbagePercent unless the operator has chosen otherwise.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}

func serve(ctx context.Context, cmd *cli.Command) error {
	if err := noArguments(cmd); err != nil {
		return err
	}
	if !cmd.IsSet("config") {
		return missingConfig(cmd)
	}

	config, err := loadConfig(cmd)
	if err != nil {
		return err
	}
	log, err := logging.New(cmd.Root().Writer, config.Logging.Config())
	if err != nil {
		return err
	}
	defer log.Sync() //nolint:errcheck // There is nowhere left to tell it.
	grpclog.SetLoggerV2(logging.Library(log, os.Getenv("GRPC_GO_LOG_SEVERITY_LEVEL")))
	log.Info("Starting Praefect", zap.String("version", version()))
	if err := confessTags(log); err != nil {
		return err
	}
	remark(log, config)

	collectLess()
	err = serveUntilStopped(ctx, log, config)
	if err != nil {
		log.Error("Praefect shutdown", zap.Error(err))

		return &exitError{code: exitFailure}
	}
	log.Info("Praefect shutdown")

	return nil
}

// serveUntilStopped runs the server until a signal ends it or a successor takes its place.
func serveUntilStopped(ctx context.Context, log *zap.Logger, config *configfile.Loaded) error {
	line, err := succession.New(log, os.Getenv)
	if err != nil {
		return err
	}
	defer line.Stop()
	graceful, force, release := stopSignals(ctx, line)
	defer release()

	options := boot.Options{Config: &config.File, Version: version(), Force: force}
	if line != nil {
		options.Sockets, options.Ready = line.Sockets(), line.Ready
		options.Successor = line.Successor()
	}

	return boot.Run(graceful, log, options)
}

// missingConfig says what is missing in the words and with the status that supervisors know.
func missingConfig(cmd *cli.Command) error {
	shown := cmd.Root().Command("serve")
	cli.HelpPrinter(cmd.Root().Writer, cli.CommandHelpTemplate, shown)
	_, _ = fmt.Fprintf(cmd.Root().ErrWriter, "%s Required flag \"config\" not set\n",
		time.Now().Format("2006/01/02 15:04:05")) // As in run.

	return &exitError{code: exitUsage}
}

// remark tells what of the configuration an operator may not expect.
func remark(log *zap.Logger, config *configfile.Loaded) {
	for _, note := range config.Unknown {
		log.Warn("unknown configuration key ignored",
			zap.String("key", note.Key), zap.Int("line", note.Line))
	}
	for _, note := range config.Inert {
		log.Info("configuration key has no effect", zap.String("key", note.Key),
			zap.Int("line", note.Line), zap.String("reason", note.Text))
	}

	for _, finding := range config.Warnings() {
		log.Warn("questionable configuration", zap.String("key", finding.Key),
			zap.String("reason", finding.Message))
	}

	strategy := zap.String("election_strategy", config.ElectionStrategy())
	switch config.ElectionStrategy() {
	case "local", "sql":
		log.Warn("Deprecated election strategy in use", strategy)
	}
	if config.FailoverDisabled() {
		log.Warn("ignoring configured election strategy as failover is disabled", strategy)
	}

	for _, shared := range config.SharedAddresses() {
		log.Warn("more than one backend node is hosted at same address",
			zap.String("virtual_storage", shared.VirtualStorage),
			zap.String("conflicting_address", shared.Address))
	}
	if len(config.SharedAddresses()) > 0 {
		log.Warn("your Praefect configuration may not offer actual redundancy")
	}
}

// stopSignals returns a context that ends with the first SIGTERM, SIGINT or SIGHUP, or when a
// successor has taken over, and a channel that is closed with the second signal. Where successors
// are possible, SIGHUP starts one instead. The caller calls release.
func stopSignals(ctx context.Context, line *succession.Succession) (
	graceful context.Context, force <-chan struct{}, release func(),
) {
	graceful, cancel := context.WithCancelCause(ctx)
	w := &signalWatch{
		line: line, cancel: cancel,
		signals: make(chan os.Signal, 2),
		forced:  make(chan struct{}), released: make(chan struct{}),
	}
	signal.Notify(w.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)

	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run()
	}()

	return graceful, w.forced, func() {
		signal.Stop(w.signals)
		close(w.released)
		<-done
		cancel(errors.New("ended"))
	}
}

// signalWatch turns signals into the ends of a server.
type signalWatch struct {
	line             *succession.Succession
	cancel           context.CancelCauseFunc
	signals          chan os.Signal
	forced, released chan struct{}
	replacing        sync.WaitGroup
}

// run returns after the second signal that ends the server, or when it is released.
func (w *signalWatch) run() {
	defer w.replacing.Wait()
	replaced := w.line.Replaced()
	for stops := 0; stops < 2; {
		select {
		case received := <-w.signals:
			if received == syscall.SIGHUP && w.line.Enabled() && stops == 0 {
				w.replacing.Go(w.line.Replace)

				continue
			}
			stops++
			w.cancel(fmt.Errorf("received signal %q", received))
		case <-replaced:
			replaced = nil // A signal is enough to force the rest.
			stops = max(stops, 1)
			w.cancel(succession.ErrReplaced)
		case <-w.released:
			w.line.Stop() // Ends a replacement under way.

			return
		}
	}
	close(w.forced)
}
