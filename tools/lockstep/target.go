package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/door"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// labFlag is the flag by which commands name a running laboratory.
func labFlag(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "lab", "", "folder of the lockstep lab that is meant (default the newest that runs)")
}

// theLab finds the laboratory that is meant, and says so when that was a choice.
func theLab(notes io.Writer, dir string) (door.Info, error) {
	i, err := door.Find(dir)
	if err == nil && dir == "" {
		_, _ = fmt.Fprintf(notes, "lockstep: the laboratory with process id %d, folder %s\n", i.PID, i.Dir)
	}
	return i, err
}

// theServer finds the server or the laboratory whose directory is meant, the newest that
// runs when no folder is named. The laboratory is nil when it is a server.
func theServer(notes io.Writer, dir string) (serve.Info, *door.Info, error) {
	if dir != "" {
		if _, err := os.Stat(filepath.Join(dir, door.NoteName)); err == nil {
			l, err := door.Find(dir)
			return asServer(l), &l, err
		}
		i, err := serve.Find(dir)
		return i, nil, err
	}
	i, noServer := serve.Find("")
	l, noLab := door.Find("")
	if noLab == nil && (noServer != nil || l.Started.After(i.Started)) {
		_, _ = fmt.Fprintf(notes, "lockstep: the laboratory with process id %d, folder %s\n", l.PID, l.Dir)
		return asServer(l), &l, nil //nolint:nilerr // no server is no error where there is a laboratory
	}
	if noServer != nil {
		return i, nil, fmt.Errorf("%w; no lockstep lab is running either", noServer)
	}
	_, _ = fmt.Fprintf(notes, "lockstep: the server with process id %d, state folder %s\n", i.PID, i.State)
	return i, nil, nil
}

// asServer is a laboratory as the commands for tenants see it.
func asServer(l door.Info) serve.Info {
	return serve.Info{Admin: l.IdP, PID: l.PID, State: l.Dir, Lab: true, Started: l.Started, Identity: filepath.Join(l.Identities, door.Operator)}
}
