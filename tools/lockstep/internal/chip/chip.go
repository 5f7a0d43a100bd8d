// Package chip is a TPM as a person with a screwdriver and a firmware menu has it: it
// can be put in, taken out, cleared, broken, and its boot measurements can change.
//
// What lives here: one emulated TPM behind a socket, in the process of the test or
// script. What never may: a secret, or a use beside laboratories. Flow scripts and
// acceptance tests handle it; the tpm-agent of a device finds it at Address, and knows it
// as an emulator in a process of its own.
package chip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
	"github.com/lockstep-sso/lockstep/pkg/tpmsocket"
)

// Config says what TPM it is.
type Config struct {
	// OldFamily has it say that it is a TPM 1.2.
	OldFamily bool
	// Now is the time by which it forgets wrong attempts; nil is the machine's.
	Now func() time.Time
}

// Chip is a TPM and the place for it. It is safe for concurrent use.
type Chip struct {
	cfg Config
	dir string
	tpm *softtpm.TPM

	mu  sync.Mutex
	out func() error // takes it out; nil while it is out
}

// New makes a TPM with no key in it. It is not put in yet.
func New(cfg Config) (*Chip, error) {
	// Not a test's own folder: the path of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "chip")
	if err != nil {
		return nil, fmt.Errorf("chip: %w", err)
	}
	tpm, err := softtpm.New(softtpm.Config{Now: cfg.Now})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("chip: %w", err), os.RemoveAll(dir))
	}
	return &Chip{cfg: cfg, dir: dir, tpm: tpm}, nil
}

// Address is what the tpm-agent is told.
func (c *Chip) Address() string { return "unix:" + c.path() }

func (c *Chip) path() string { return filepath.Join(c.dir, "tpm") }

// PutIn puts the TPM behind its address. Twice does nothing.
func (c *Chip) PutIn() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil {
		return nil
	}
	if err := c.startup(); err != nil {
		return err
	}
	server, err := tpmsocket.New(tpmsocket.Config{TPM: &answering{c.tpm, c.cfg.OldFamily}, Framing: tpmsocket.SWTPM})
	if err != nil {
		return fmt.Errorf("chip: %w", err)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(context.Background(), "unix", c.path())
	if err != nil {
		return fmt.Errorf("chip: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l, nil) }()
	c.out = func() error {
		stop()
		return <-done
	}
	return nil
}

// startup is what firmware does before anybody else has the TPM. One that runs already
// says so.
func (c *Chip) startup() error {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(c.tpm)
	if err != nil && !errors.Is(err, tpm2.TPMRCInitialize) {
		return fmt.Errorf("chip: startup: %w", err)
	}
	return nil
}

// TakeOut ends every connection to the TPM; there is nobody at its address any more.
// What is in it stays, as in a chip without power.
func (c *Chip) TakeOut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		return nil
	}
	out := c.out
	c.out = nil
	return errors.Join(out(), c.tpm.PowerCycle())
}

// Clear is the command that the firmware gives for the person in front of its menu
// (TPM2_Clear, TPM 2.0 Part 3, 24.6): every key is gone for good.
func (c *Chip) Clear() error {
	_, err := tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}}.Execute(c.tpm)
	if err != nil {
		return fmt.Errorf("chip: clear: %w", err)
	}
	return nil
}

// Measure extends a PCR, as other firmware or other keys of secure boot do.
func (c *Chip) Measure(pcr uint32) error {
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
	}.Execute(c.tpm)
	if err != nil {
		return fmt.Errorf("chip: measure: %w", err)
	}
	return nil
}

// Break has every command answered with TPM_RC_FAILURE.
func (c *Chip) Break() { c.tpm.Fail(true) }

// Mend ends that, in the one way there is: with a reset (TPM 2.0 Part 1, 12.3), so what
// was loaded is gone.
func (c *Chip) Mend() error {
	c.tpm.Fail(false)
	return errors.Join(c.tpm.PowerCycle(), c.startup())
}

// Close takes the TPM out and throws it away.
func (c *Chip) Close() error {
	return errors.Join(c.TakeOut(), c.tpm.Close(), os.RemoveAll(c.dir))
}

// answering is the TPM with the name of its family changed, if it is an old one.
type answering struct {
	*softtpm.TPM
	old bool
}

func (a *answering) Send(command []byte) ([]byte, error) {
	answer, err := a.TPM.Send(command)
	if a.old {
		answer = bytes.ReplaceAll(answer, []byte("2.0\x00"), []byte("1.2\x00"))
	}
	return answer, err
}
