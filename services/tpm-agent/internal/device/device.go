// Package device opens the TPM behind an address, keeps the way to it in repair,
// and decides whether keys go to that TPM or to the software key store.
//
// Everything above it speaks TPM 2.0 commands and cannot tell one TPM from
// another; how well it protects keys is said here, where the address is known.
//
// A TPM that cannot be used (absent, of family 1.2, or failing) means one of two
// things, and the difference is what was made under it. If this agent has no keys
// yet, they are made in the software key store, which says so: protection level
// "software", so TpmProtected NO. If it has keys in that TPM, then the TPM failed:
// the agent starts, answers every request with an error, and repairs the way as
// soon as the TPM is back. It never falls back then, because a device that quietly
// makes software keys when its TPM is silenced is a device whose TPM protects
// nothing. The whole table is in [Choose].
//
// The software key store is the same TPM in pure Go as "soft:", with a state file
// of its own, so that everything above is the same code. Keys that were made in it
// stay in it, also when a TPM appears later: a key cannot move into a TPM. New keys
// are made in the TPM then, and both are in use until the device has moved to them.
//
// What never may live here: a key, or knowledge of what a command is for. The
// tpm-agent's front is the only caller.
package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// Names that people see as the key provider.
const (
	hardwareName = "TPM 2.0 of this machine"
	softName     = "Lockstep emulated TPM (keys lie in process memory)"
	softwareName = "Lockstep Software Key Storage Provider"
)

// softwareFile is the state of the software key store, in the agent's folder.
const softwareFile = "software.state"

// Config says which TPM, and what to do without one.
type Config struct {
	// Addr is the address of the TPM; "" is "soft:". See [Open].
	Addr string
	// Dir is the agent's own folder.
	Dir string
	// Found is where the keys of this agent were made.
	Found Keys
	// EmulatedCA is the folder of the maker that certifies the endorsement key of a
	// TPM in this process; "" leaves it without a certificate.
	EmulatedCA string
	// SoftwareKeys is the policy for keys in software; "" is Allow.
	SoftwareKeys Policy
	// Clock runs the pauses between repairs and the lock-out of a software TPM; nil
	// is the machine's.
	Clock clock.Clock
	Log   *slog.Logger
}

// Protection is how far keys are out of reach of software.
type Protection int

// The levels, best first. The level belongs to the keys: a key set records the one
// it was made under.
const (
	// Hardware is a TPM chip, or a TPM of the platform below the kernel.
	Hardware Protection = iota + 1
	// Emulated is a TPM 2.0 in software that was asked for.
	Emulated
	// Software is the key store that stands in where no TPM can be used.
	Software
)

// String is the name of the level.
func (p Protection) String() string {
	switch p {
	case Hardware:
		return "hardware"
	case Emulated:
		return "emulated"
	case Software:
		return "software"
	default:
		return "unknown"
	}
}

// Opened is a TPM and what is known of it.
type Opened struct {
	transport.TPM
	io.Closer
	// Name of the key provider, for people.
	Name       string
	Protection Protection
}

// Machine is what holds the keys of the device: a TPM, the software key store, or
// both while keys of the store have not moved to the TPM.
type Machine struct {
	TPM, Software *Opened
	// Reason says why keys are in software, or why the TPM does not work now; ""
	// when the TPM that was asked for is in use alone.
	Reason string
}

// Close closes what is open.
func (m *Machine) Close() error { return errors.Join(m.TPM.close(), m.Software.close()) }

// Open opens a TPM by its address:
//
//	soft:PATH          a software TPM whose state is the file PATH
//	soft:              the same, in the folder of the agent
//	mem:               a software TPM that is gone with the process
//	device:/dev/tpmrm0 the kernel's TPM, through its resource manager
//	swtpm:DIR          a swtpm of the agent's own, with its state in DIR
//	swtpm:             the same, in the folder of the agent
//	unix:PATH          a TPM behind a socket, such as swtpm
//	tcp:HOST:PORT      the same over TCP, on the local machine only
//	mssim:HOST:PORT    the simulator protocol of the TPM reference code, likewise
//
// It is an error when the address or the policy is wrong, when the agent may not
// use what is there, or when a state file is damaged; a TPM that is down is not.
func Open(ctx context.Context, cfg Config) (*Machine, error) {
	if cfg.Dir == "" {
		return nil, errors.New("TPM: the agent's folder is missing")
	}
	if err := cfg.SoftwareKeys.check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	t, err := parse(cfg)
	if err != nil {
		return nil, err
	}
	opened, cond, why, err := t.open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	choice := Choose(cfg.SoftwareKeys, cond, cfg.Found)
	cfg.Log.InfoContext(ctx, "TPM chosen", "address", t.addr, "condition", cond.String(), "keys", string(cfg.Found), "choice", choice.String())
	m := &Machine{TPM: opened}
	switch choice {
	case useTPM:
	case failedTPM:
		m.Reason = fmt.Sprintf("the TPM %s is %s: nothing is signed until it works again: %v", t.addr, cond, why)
	case useBoth, useSoftware:
		m.Reason = softwareReason(cfg.SoftwareKeys, cond, t.addr, why)
		if choice == useSoftware {
			m.TPM, err = nil, opened.close()
		}
		if err == nil {
			m.Software, err = software(cfg)
		}
		if err != nil {
			return nil, errors.Join(err, m.TPM.close())
		}
	}
	return m, nil
}

// close is Close for a TPM that may not have been opened.
func (o *Opened) close() error {
	if o == nil || o.Closer == nil {
		return nil
	}
	return o.Close()
}

func softwareReason(p Policy, cond Condition, addr string, why error) string {
	switch {
	case p == Only:
		return "the setting software-keys says only"
	case cond == Usable:
		return "the keys were made when no TPM could be used: migrate the device to have keys in the TPM"
	default:
		return fmt.Sprintf("the TPM %s is %s: %v", addr, cond, why)
	}
}

// software opens the software key store.
func software(cfg Config) (*Opened, error) {
	t, err := softFile(filepath.Join(cfg.Dir, softwareFile), cfg)
	if err != nil {
		return nil, fmt.Errorf("software key store: %w", err)
	}
	return &Opened{TPM: t, Closer: t, Name: softwareName, Protection: Software}, nil
}

func softFile(path string, cfg Config) (*softtpm.TPM, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("folder of the soft TPM: %w", err)
	}
	return softtpm.OpenFile(path, softtpm.Config{Now: clock.Or(cfg.Clock).Now})
}

// forbidden explains a TPM that is there and that the agent may not use.
func forbidden(addr string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("TPM %s: the agent may not use it: add its user to the group that owns it (often tss): %w", addr, err)
}
