package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

const (
	// dialTime bounds one attempt to reach a TPM.
	dialTime = 5 * time.Second
	kinds    = "soft:PATH, mem:, device:PATH, swtpm:DIR, unix:PATH, tcp:HOST:PORT or mssim:HOST:PORT"
)

// target is what an address names: a TPM in this process, or a way to one outside.
type target struct {
	addr       string
	name       string
	protection Protection
	// embedded opens a TPM in this process; nil for one outside.
	embedded func() (*Opened, error)
	dial     dialer
}

func parse(cfg Config) (*target, error) {
	addr := cfg.Addr
	if addr == "" {
		addr = "soft:"
	}
	kind, rest, ok := strings.Cut(addr, ":")
	if !ok {
		return nil, fmt.Errorf("TPM address %q: use %s", addr, kinds)
	}
	t := &target{addr: addr, protection: Emulated, name: "TPM 2.0 emulator at " + addr}
	switch kind {
	case "soft":
		if rest == "" {
			rest = filepath.Join(cfg.Dir, "tpm.state")
		}
		t.embedded = func() (*Opened, error) {
			tpm, err := softFile(rest, cfg)
			if err != nil {
				return nil, err
			}
			return manufactured(cfg, tpm)
		}
	case "mem":
		t.embedded = func() (*Opened, error) { return memory(cfg) }
	case "device":
		t.protection, t.name = Hardware, hardwareName
		t.dial = func(context.Context) (wire, error) { return openKernel(rest) }
	case "swtpm":
		if rest == "" {
			rest = filepath.Join(cfg.Dir, "swtpm")
		}
		program, err := findSWTPM(rest)
		if err != nil {
			return nil, err
		}
		t.dial = func(context.Context) (wire, error) { return spawn(program, rest) }
	case "unix":
		t.dial = func(ctx context.Context) (wire, error) { return dialStream(ctx, "unix", rest) }
	case "tcp", "mssim":
		if err := thisMachine(rest); err != nil {
			return nil, fmt.Errorf("TPM address %s: %w", addr, err)
		}
		t.dial = func(ctx context.Context) (wire, error) { return dialStream(ctx, "tcp", rest) }
		if kind == "mssim" {
			t.dial = func(ctx context.Context) (wire, error) { return dialMSSIM(ctx, rest) }
		}
	default:
		return nil, fmt.Errorf("TPM address %q: there is no kind %q: use %s", addr, kind, kinds)
	}
	return t, nil
}

// thisMachine holds that an address is on the loopback interface.
func thisMachine(hostPort string) error {
	host, _, err := net.SplitHostPort(hostPort)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("only a TPM on this machine can be trusted with commands in clear")
	}
	return nil
}

func memory(cfg Config) (*Opened, error) {
	t, err := softtpm.New(softtpm.Config{Now: clock.Or(cfg.Clock).Now})
	if err != nil {
		return nil, err
	}
	return manufactured(cfg, t)
}

// manufactured does to a TPM in this process what its maker does to a chip: it is
// started, and when there is a maker of emulated TPMs, its endorsement key gets a
// certificate that says what it is.
func manufactured(cfg Config, t *softtpm.TPM) (*Opened, error) {
	o := &Opened{TPM: t, Closer: t, Name: softName, Protection: Emulated}
	if cfg.EmulatedCA == "" {
		return o, nil
	}
	maker, err := tpmca.Open(cfg.EmulatedCA)
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(t); err != nil {
		return nil, errors.Join(fmt.Errorf("start the emulated TPM: %w", err), o.close())
	}
	if _, err := tpmca.Manufacture(context.Background(), t, maker); err != nil {
		return nil, errors.Join(fmt.Errorf("certify the emulated TPM: %w", err), o.close())
	}
	return o, nil
}

// open opens the target and finds its condition. A TPM that is down is opened too:
// its link dials again with later commands. why explains a TPM that is not usable;
// err is what no waiting repairs.
func (t *target) open(ctx context.Context, cfg Config) (o *Opened, cond Condition, why, err error) {
	if cfg.SoftwareKeys == Only {
		return nil, Absent, nil, nil // it is not even touched
	}
	if t.embedded != nil {
		if o, err = t.embedded(); err != nil {
			return nil, 0, nil, err
		}
		return o, Usable, nil, nil
	}
	link := newLink(t.dial, clock.Or(cfg.Clock).Now)
	cond, why = probe(ctx, link)
	if err := forbidden(t.addr, why); err != nil {
		return nil, 0, nil, errors.Join(err, link.Close())
	}
	return &Opened{TPM: link, Closer: link, Name: t.name, Protection: t.protection}, cond, why, nil
}

// absent tells "nobody there" from "there, and not working".
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrNotExist) ||
		errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO)
}
