package keystore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// rootHandle is where the TCG's provisioning guidance puts the storage root key.
const rootHandle = tpm2.TPMHandle(0x81000001)

// sessionNonce is the size of our nonces in policy sessions, in bytes.
const sessionNonce = 16

// chip is one TPM as the store uses it: the storage root key, and one more key
// that stays in a slot, because requests come in runs for the same key and a TPM
// has three slots. All fields but owner belong to the goroutine of the owner.
type chip struct {
	owner *tpmio.Owner
	log   *slog.Logger
	// provider is Hardware or Software, and level how well it protects.
	provider Provider
	level    string

	epoch uint64
	root  *root
	hot   hotKey
	// probed says that native was asked for; it does not change with a TPM. Nobody
	// asks when native session keys are not offered.
	offersNative, probed, native bool
}

// root is the storage root key of the TPM.
type root struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

// hotKey is the one key besides the root that stays in a slot.
type hotKey struct {
	id     [sha256.Size]byte
	handle tpm2.TPMHandle
}

// use is one use of a key, for errors and for the audit log: what is done, with a
// key of which purpose, of which set, and whose.
type use struct {
	what, purpose, set string
	owner              Owner
}

// run does f with the TPM. When the TPM was reset behind the agent's back its
// handles are gone, but blobs are good: then everything is opened again, once.
func (p *chip) run(ctx context.Context, u use, f func(*tpmio.Conn) error) error {
	return p.audit(ctx, u, tpmio.Named(p.owner.Do(ctx, p.twice(f)), u.what))
}

// runSlow is run for what may take seconds.
func (p *chip) runSlow(ctx context.Context, u use, f func(*tpmio.Conn) error) error {
	return p.audit(ctx, u, tpmio.Named(p.owner.DoSlow(ctx, p.twice(f)), u.what))
}

// audit writes one event a use: every key is used through run, so none is
// forgotten. The caller is who the connection proved to be. What has no purpose
// uses no key.
func (p *chip) audit(ctx context.Context, u use, err error) error {
	if u.purpose == "" {
		return err
	}
	level, outcome := slog.LevelInfo, "done"
	if err != nil {
		level, outcome = slog.LevelWarn, "refused"
	}
	attrs := []slog.Attr{
		slog.String("caller", rpc.Caller(ctx)), slog.String("method", method(ctx)), slog.String("use", u.what), slog.String("key", u.purpose),
		slog.String("key_set", u.set), slog.String("outcome", outcome),
	}
	if s := rpc.StandIn(ctx); s != "" { // the caller is what that one said
		attrs = append(attrs, slog.String("stand_in", s))
	}
	if u.owner.User != "" {
		attrs = append(attrs, slog.String("tenant_id", string(u.owner.Tenant)), slog.String("user_id", string(u.owner.User)))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	p.log.LogAttrs(ctx, level, "key used", attrs...)
	return err
}

// method is the call that the use is part of, "" in work of the agent's own.
func method(ctx context.Context) string {
	m, _ := grpc.Method(ctx)
	return m
}

// erased has the work leave nothing in memory, where the toolchain can see to that.
// It stands inside the job, because it covers the goroutine that it runs on.
func erased(f func(*tpmio.Conn) error) func(*tpmio.Conn) error {
	return func(c *tpmio.Conn) (err error) {
		secret.Do(func() { err = f(c) })
		return err
	}
}

func (p *chip) twice(f func(*tpmio.Conn) error) func(*tpmio.Conn) error {
	f = erased(f)
	return func(c *tpmio.Conn) error {
		p.sync(c)
		if p.root == nil { // not opened yet, or an earlier attempt failed
			if err := p.open(c); err != nil {
				return err
			}
		}
		err := f(c)
		if !tpmio.HandlesGone(err) {
			return err
		}
		p.drop(c)
		if err := p.open(c); err != nil {
			return err
		}
		return f(c)
	}
}

// sync forgets handles from before the link broke: they name nothing now.
func (p *chip) sync(c *tpmio.Conn) {
	if e := c.Epoch(); e != p.epoch {
		p.root, p.hot, p.epoch = nil, hotKey{}, e
	}
}

// open starts the TPM up if nobody has, and finds or makes the storage root key.
func (p *chip) open(c *tpmio.Conn) error {
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(c); err != nil && !errors.Is(err, tpm2.TPMRCInitialize) {
		return err
	}
	if p.private() {
		// What an agent that died has left in the slots would fill them.
		if err := c.Sweep(); err != nil {
			return err
		}
	}
	if err := p.openRoot(c); err != nil {
		return err
	}
	c.SetRoot(p.root.handle, p.root.public)
	return p.provision(c)
}

// private tells a TPM that the agent has to itself, which every emulated one is,
// from the machine's, which others use too.
func (p *chip) private() bool { return p.level != "hardware" }

// openRoot takes the storage root key that the platform provisioned, or makes the
// same one from the TPM's seed, which takes a millisecond.
func (p *chip) openRoot(c *tpmio.Conn) error {
	if r, err := (tpm2.ReadPublic{ObjectHandle: rootHandle}).Execute(c); err == nil {
		public, err := r.OutPublic.Contents()
		if err == nil && isStorageRoot(public) {
			p.root = &root{rootHandle, r.Name, *public}
			return nil
		}
	}
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(c)
	if err != nil {
		return err
	}
	public, err := r.OutPublic.Contents()
	if err != nil {
		return fmt.Errorf("storage root key: %w", err)
	}
	p.root = &root{r.ObjectHandle, r.Name, *public}
	return nil
}

// isStorageRoot keeps the agent from hanging its keys under some other key that
// happens to be at the root's handle.
func isStorageRoot(k *tpm2.TPMTPublic) bool {
	a := k.ObjectAttributes
	return k.Type == tpm2.TPMAlgECC && a.Restricted && a.Decrypt && a.FixedTPM && a.FixedParent && a.SensitiveDataOrigin
}

// same tells a TPM that was cleared or replaced, which loses every key, from one
// damaged blob. It also pins the root: sessions are salted with the root's public
// key, so a device between the agent and the chip could offer one of its own; it
// cannot offer one of this name.
func (p *chip) same(set *keySet) error {
	if !bytes.Equal(set.Root, p.root.name.Buffer) {
		return tpmio.KeysLost("the TPM was cleared or replaced")
	}
	return nil
}

// drop forgets what is in the TPM's slots and frees them as far as they are there.
func (p *chip) drop(c *tpmio.Conn) {
	p.cool(c)
	if p.root != nil && p.root.handle != rootHandle {
		_ = c.Flush(p.root.handle)
	}
	p.root = nil
}

// cool frees the slot of the hot key, for work that needs all of them.
func (p *chip) cool(c *tpmio.Conn) {
	if p.hot.handle != 0 {
		_ = c.Flush(p.hot.handle)
	}
	p.hot = hotKey{}
}

// load puts a key of the root into the slot of the hot key, unless it is there.
func (p *chip) load(c *tpmio.Conn, b blob) (tpm2.TPMHandle, error) {
	if h, ok := p.warm(b); ok {
		return h, nil
	}
	p.cool(c)
	handle, err := c.Load(p.root.handle, b.Public, b.Private)
	if err != nil {
		return 0, err
	}
	p.hot = hotKey{b.id(), handle}
	return handle, nil
}

func (p *chip) warm(b blob) (tpm2.TPMHandle, bool) {
	return p.hot.handle, p.hot.handle != 0 && p.hot.id == b.id()
}

// beside loads a key of the root into a slot of its own; done frees it. The hot
// key stays, so with it and the root all three slots of a TPM are taken.
func (p *chip) beside(c *tpmio.Conn, b blob) (h tpm2.TPMHandle, done func(), err error) {
	h, err = c.Load(p.root.handle, b.Public, b.Private)
	return h, func() { _ = c.Flush(h) }, err
}

// evict frees the slot if the key is in it.
func (p *chip) evict(c *tpmio.Conn, b blob) {
	if _, ok := p.warm(b); ok {
		p.cool(c)
	}
}

// create makes a key under the root. data is nil for a key that the TPM makes.
func (p *chip) create(c *tpmio.Conn, template tpm2.TPMTPublic, auth, data secret.Bytes) (blob, error) {
	public, private, err := c.Create(tpmio.Key{Handle: p.root.handle, Name: p.root.name.Buffer}, auth.Reveal(), data.Reveal(), tpm2.Marshal(template))
	if err != nil {
		return blob{}, err
	}
	return blob{Public: public, Private: private}, nil
}

// key names a loaded key for a command in the encrypted session.
func (b blob) key(h tpm2.TPMHandle, auth secret.Bytes) (tpmio.Key, error) {
	name, err := b.name()
	return tpmio.Key{Handle: h, Name: name, Auth: auth.Reveal()}, err
}

// policySteps satisfy a policy in a session that was just begun.
type policySteps func(session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error

// policy is a policy session for one command. go-tpm 0.9.8 leaves the session in the
// TPM when a step fails, and a TPM has room for three, so it is freed here.
func policy(c *tpmio.Conn, steps policySteps) tpm2.Session {
	return tpm2.Policy(tpm2.TPMAlgSHA256, sessionNonce, func(_ transport.TPM, session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		err := steps(session, nonce)
		if err != nil {
			_ = c.Flush(session)
		}
		return err
	})
}
