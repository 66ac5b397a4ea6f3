package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"praefect/cmd/internal/boot"
	"praefect/cmd/internal/configfile"
	"praefect/cmd/internal/logging"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "start the server",
		Description: "Logs to standard output. SIGTERM or SIGINT end it gracefully within " +
			"graceful_stop_timeout, a second one at once.",
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
	log.Info("Starting Praefect", zap.String("version", version()))
	if err := confessTags(log); err != nil {
		return err
	}
	remark(log, config)

	collectLess()
	graceful, force, release := stopSignals(ctx)
	defer release()
	err = boot.Run(graceful, log, boot.Options{
		Config: &config.File, Version: version(), Force: force,
	})
	if err != nil {
		log.Error("Praefect shutdown", zap.Error(err))

		return &exitError{code: exitFailure}
	}
	log.Info("Praefect shutdown")

	return nil
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

	for _, shared := range config.SharedAddresses() {
		log.Warn("more than one backend node is hosted at same address",
			zap.String("virtual_storage", shared.VirtualStorage),
			zap.String("conflicting_address", shared.Address))
	}
	if len(config.SharedAddresses()) > 0 {
		log.Warn("your Praefect configuration may not offer actual redundancy")
	}
}

// stopSignals returns a context that ends with the first SIGTERM or SIGINT, and a channel that is
// closed with the second. The caller calls release.
func stopSignals(ctx context.Context) (
	graceful context.Context, force <-chan struct{}, release func(),
) {
	graceful, cancel := context.WithCancelCause(ctx)
	forced, released := make(chan struct{}), make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)

	done := make(chan struct{})
	go func() {
		defer close(done)
		for stop := range 2 {
			select {
			case received := <-signals:
				cancel(fmt.Errorf("received signal %q", received))
				if stop == 1 {
					close(forced)
				}
			case <-released:
				return
			}
		}
	}()

	return graceful, forced, func() {
		signal.Stop(signals)
		close(released)
		<-done
		cancel(errors.New("ended"))
	}
}
