package postgres

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"
)

const (
	// statementsMax is how many statements a connection keeps prepared: more than there are.
	statementsMax = 256
	// lifetime is how long a connection is used, and so how long a plan can be, which the server
	// made when tables were smaller.
	lifetime = 10 * time.Minute
	// preparedKey marks connections whose statements are prepared.
	preparedKey = "prepared"
)

// preparer has statements prepared where that is safe, since planning takes the server longer than
// carrying them out. What is prepared belongs to a process of the server, and a pooler by
// transactions gives each transaction another one. Whether there is one shows in what a client is
// told when it connects: from a server, the number of the process that serves it; from a pooler,
// another number.
type preparer struct {
	// direct says that a connection led to the server itself.
	direct atomic.Bool
	// refused says that a server did not know what had been prepared all the same.
	refused atomic.Bool
}

func (p *preparer) prepares() bool { return p.direct.Load() && !p.refused.Load() }

// attend has the preparer see all connections of a pool.
func (p *preparer) attend(config *pgxpool.Config) {
	config.BeforeConnect = p.before
	config.AfterConnect = p.after
	config.PrepareConn = p.fits
	config.MaxConnLifetime = lifetime
	config.MaxConnLifetimeJitter = lifetime / 10
}

// before decides about a connection that is to be made.
func (p *preparer) before(_ context.Context, config *pgx.ConnConfig) error {
	if p.prepares() {
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
		config.StatementCacheCapacity = statementsMax
	}
	return nil
}

// after finds out where a connection leads, unless that is known.
func (p *preparer) after(ctx context.Context, connection *pgx.Conn) error {
	raw := connection.PgConn()
	if connection.Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		raw.CustomData()[preparedKey] = true
		return nil
	}
	answer := raw.ExecParams(ctx, backendSQL, nil, nil, nil, nil).Read()
	if answer.Err != nil {
		return fmt.Errorf("ask who serves the connection: %w", answer.Err)
	}
	told := strconv.FormatUint(uint64(raw.PID()), 10)
	if len(answer.Rows) == 1 && string(answer.Rows[0][0]) == told {
		p.direct.Store(true)
	}
	return nil
}

// fits says whether a connection is one as they should be by now; another takes its place if not.
func (p *preparer) fits(_ context.Context, connection *pgx.Conn) (bool, error) {
	_, prepared := connection.PgConn().CustomData()[preparedKey]
	return prepared == p.prepares(), nil
}

// refuse ends all preparing if an error says that the server does not know what was prepared.
func (p *preparer) refuse(err error, log *zap.Logger) {
	if unprepared(err) && !p.refused.Swap(true) {
		log.Warn("statements are not prepared any more, as the server does not keep them",
			zap.Error(err))
	}
}
