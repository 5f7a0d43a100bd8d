package host

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// Component serves a component's handler over HTTPS beside its door, when its
// setting "https" names an address to listen at; "https-ca" is where to write the
// certificate to trust, which is returned too; nil without HTTPS. It ends before the
// component.
func Component(env *run.Env, handler http.Handler, names ...string) (ca []byte, err error) {
	addr := env.Settings["https"]
	if addr == "" {
		return nil, nil
	}
	h, err := New(Config{Handler: handler, Names: names, StateDir: filepath.Join(env.StateDir, "https"), Log: env.Log})
	if err != nil {
		return nil, err
	}
	l, err := env.Listen(addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting https: %w", err), h.Close())
	}
	h.ServeOn(l)
	env.OwnDoor(h)
	if path := env.Settings["https-ca"]; path != "" {
		if err := durable.WriteFile(path, h.CAPEM(), nil); err != nil {
			return nil, fmt.Errorf("setting https-ca: %w", err)
		}
	}
	return h.CAPEM(), nil
}

// Share has several processes that are one component have one certificate authority:
// share is given the authority of this one, key and certificate in PEM, and gives back
// the one that all have, which is kept in the place of it. It comes before Component.
func Share(env *run.Env, share func(mine []byte) ([]byte, error), names ...string) error {
	dir := filepath.Join(env.StateDir, "https")
	all, err := allNames(Config{Names: names})
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if _, err := openAuthority(dir, all); err != nil {
		return err
	}
	path := filepath.Join(dir, secretFile)
	mine, err := durable.ReadFile(path)
	if err != nil {
		return err
	}
	shared, err := share(mine)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, shared, nil); err != nil {
		return err
	}
	_, err = loadAuthority(path)
	return err
}
