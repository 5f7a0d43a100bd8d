package idp

import (
	"context"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/sqlite"
)

// stateFile is the name of the one file in a state folder.
const stateFile = "idp.db"

// openStore opens the store of a state folder, or one that lives as long as the
// process.
func openStore(dir string) (store.Store, error) {
	if dir == "" {
		return store.NewMemory(), nil
	}
	return sqlite.New(context.Background(), sqlite.Config{Path: filepath.Join(dir, stateFile)})
}

// vault is where keys are kept, nil when they are not.
//
// The key of the nonces is not among them. What was used already is remembered by
// the process, so a nonce from before a restart could be used a second time after
// it; with a new key none is good, and devices ask for another.
func (s *Service) vault(cfg Config) issuance.Vault {
	if cfg.StateDir == "" {
		return nil
	}
	return s.store
}
