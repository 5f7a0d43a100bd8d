package idp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/host"
	"github.com/lockstep-sso/lockstep/pkg/published"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Wire builds the component from its environment. Settings: "tenants" is the path
// of a tenant file; "federation-certificate" is DOMAIN=PATH, the PEM of a
// federation provider whose certificate is not in that file; "state" is keep to
// keep keys and records over a restart, or postgres to keep them in a database that
// several processes share, and then "database" is the path of a file with its DSN;
// "tpm-makers" is KIND=PATH, or several with
// commas between, the PEM of makers of TPMs whom every tenant trusts, where KIND is
// hardware or emulated and a PATH that is a folder stands for each .pem file in it, which
// may be none; "lab-directory-lag" is how long the directory of a laboratory
// does not know a new device, as 5s; "https" is where to serve HTTPS, "https-ca"
// where to write the certificate to trust.
func Wire(env *run.Env) (*run.Component, error) {
	cfg := Config{Clock: env.Clock, Log: env.Log, TracerProvider: env.TracerProvider, MeterProvider: env.MeterProvider, Persons: env.Lab != nil}
	if path := env.Settings["tenants"]; path != "" {
		yaml, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting tenants: %w", err)
		}
		cfg.Tenants = yaml
	}
	if pair := env.Settings["federation-certificate"]; pair != "" {
		domain, path, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("setting federation-certificate: use DOMAIN=PATH")
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("setting federation-certificate: %w", err)
		}
		cfg.FederationCertificates = map[string][]byte{domain: pem}
	}
	makers, err := tpmMakers(env.Settings["tpm-makers"])
	if err != nil {
		return nil, err
	}
	cfg.TPMMakers = makers
	switch state := env.Settings["state"]; state {
	case "":
	case "keep":
		if env.StateDir == "" {
			return nil, fmt.Errorf("setting state: keep needs a state folder: give the component one")
		}
		cfg.StateDir = env.StateDir
	case "postgres":
		if cfg.Database, err = databaseOf(env.Settings["database"]); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("setting state: use keep or postgres, or leave it out to forget everything at the end")
	}
	if env.Settings["database"] != "" && cfg.Database.Empty() {
		return nil, fmt.Errorf("setting database: it goes with state=postgres")
	}
	if cfg.DirectoryLag, err = directoryLag(env); err != nil {
		return nil, err
	}
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	var authority []byte
	if env.Settings["https"] != "" {
		if err := s.shareHTTPS(env); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		if authority, err = host.Component(env, s.Handler()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	certificates := published.Certificates{published.HTTPSAuthority: authority}
	return &run.Component{Service: certificates.Beside(s), Allow: Allow()}, nil
}

// directoryLag reads the setting of that name, which is for laboratories.
func directoryLag(env *run.Env) (time.Duration, error) {
	const name = "lab-directory-lag"
	text := env.Settings[name]
	switch {
	case text == "":
		return 0, nil
	case env.Lab == nil:
		return 0, errors.New("setting " + name + " is for a laboratory: give --lab too")
	}
	lag, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("setting %s is %.40q: use a duration such as 5s", name, text)
	}
	return lag, nil
}

// maxDSN bounds a DSN in bytes.
const maxDSN = 4 << 10

// databaseOf reads the file with the DSN. It has a password, mostly, and so it stands
// in a file, where neither a list of processes nor their environment shows it.
func databaseOf(path string) (secret.Text, error) {
	if path == "" {
		return secret.Text{}, fmt.Errorf("setting database: state=postgres needs the path of a file with the DSN of the database")
	}
	f, err := os.Open(path)
	if err != nil {
		return secret.Text{}, fmt.Errorf("setting database: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxDSN+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return secret.Text{}, fmt.Errorf("setting database: %w", err)
	}
	dsn := strings.TrimSpace(string(raw))
	if dsn == "" || len(raw) > maxDSN {
		return secret.Text{}, fmt.Errorf("setting database: %s is not a DSN of 1 to %d bytes", path, maxDSN)
	}
	return secret.NewText(dsn), nil
}

// maxMakerFiles bounds what one folder of makers may hold.
const maxMakerFiles = 64

// tpmMakers reads the setting of that name.
func tpmMakers(list string) ([]TPMMaker, error) {
	var all []TPMMaker
	for pair := range strings.SplitSeq(list, ",") {
		if pair == "" {
			continue
		}
		kind, path, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("setting tpm-makers: use KIND=PATH, where KIND is hardware or emulated")
		}
		files, err := makerFiles(path)
		if err != nil {
			return nil, fmt.Errorf("setting tpm-makers: %w", err)
		}
		for _, file := range files {
			pem, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("setting tpm-makers: %w", err)
			}
			all = append(all, TPMMaker{Name: file, Kind: kind, Certificates: pem})
		}
	}
	return all, nil
}

// makerFiles is a file, or the .pem files of a folder in their order.
func makerFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	var files []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".pem" {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) > maxMakerFiles {
		return nil, fmt.Errorf("%s has more than %d makers: leave those whose TPMs are in use", path, maxMakerFiles)
	}
	return files, err
}
