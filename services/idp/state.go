package idp

import (
	"context"
	"path/filepath"
	"slices"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/lockout"
	"github.com/lockstep-sso/lockstep/services/idp/internal/nonce"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/server"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/sqlite"
)

// stateFile is the name of the one file in a state folder.
const stateFile = "idp.db"

// openStore opens a database, the store of a state folder, or one that lives as long as
// the process; and what is remembered of uses and wrong tries, which is the database's
// when there is one, and else the process's: a file would cost every token a write.
func (s *Service) openStore(cfg Config, clk clock.Clock) error {
	s.replays, s.attempts = replay.New(clk, 0), lockout.New(clk)
	var err error
	switch {
	case !cfg.Database.Empty():
		var db *postgres.Store
		if db, err = postgres.New(context.Background(), postgres.Config{DSN: cfg.Database}); err != nil {
			return err
		}
		s.store, s.shared = db, db
		s.replays, s.attempts = replay.NewShared(clk, 0, db), lockout.NewShared(clk, db)
	case cfg.StateDir != "":
		s.store, err = sqlite.New(context.Background(), sqlite.Config{Path: filepath.Join(cfg.StateDir, stateFile)})
	default:
		s.store = store.NewMemory()
	}
	return err
}

// vault is where keys are kept, nil when they are not.
func (s *Service) vault(cfg Config) issuance.Vault {
	if cfg.StateDir == "" && s.shared == nil {
		return nil
	}
	return s.store
}

// nonceSealer has the keys of nonces: those of the vault where replicas share what was
// used. Else nil, a key of this process: what was used already is remembered by
// the process, so a nonce from before a restart could be used a second time after
// it; with a new key none is good, and devices ask for another.
func (s *Service) nonceSealer(a *issuance.Authority) nonce.Sealer {
	if s.shared == nil {
		return nil
	}
	return a
}

// upToDate registers services whose calls see what was changed elsewhere before they
// came: users and devices, tenants, keys.
func (s *Service) upToDate(r grpc.ServiceRegistrar) grpc.ServiceRegistrar {
	if s.shared == nil {
		return r
	}
	return server.Before(r, func(ctx context.Context) error {
		err := s.shared.Fresh(ctx, s.changed)
		if err == nil {
			return nil
		}
		return prterr.Wrap(prterr.Unavailable, err, "the service cannot reach its records: try again")
	})
}

// changed takes over documents that another process changed.
func (s *Service) changed(ctx context.Context, docs []store.Change, all bool) error {
	if err := s.directory.Changed(ctx, docs, all); err != nil {
		return err
	}
	if !all && !slices.ContainsFunc(docs, func(c store.Change) bool { return c.Kind == issuance.KeyKind }) {
		return nil
	}
	return s.gate.Authority.Refresh(ctx)
}

// shareHTTPS has replicas serve HTTPS under one certificate authority: a client that
// trusts one of them trusts all. The first that starts makes it.
func (s *Service) shareHTTPS(env *run.Env) error {
	if s.shared == nil {
		return nil
	}
	return host.Share(env, func(mine []byte) ([]byte, error) {
		return s.shared.SwapDocument(context.Background(), issuance.KeyKind, "https-authority", nil, mine)
	})
}
