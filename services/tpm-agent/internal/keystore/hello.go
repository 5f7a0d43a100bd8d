package keystore

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// resetBytes is the strength of a PIN reset secret.
const resetBytes = 24

// NewHello is a Hello key that was made.
type NewHello struct {
	Public *rsa.PublicKey
	// Reset allows a new PIN and is for the PIN reset service; empty without one.
	Reset secret.Bytes
}

// CreateHello makes the Hello key of a user, under the registration in force. With
// resettable, a PIN reset service can help with a forgotten PIN; without, only a new
// key does.
func (s *Store) CreateHello(ctx context.Context, u HelloUser, pin secret.Text, resettable bool) (NewHello, error) {
	set, p, err := s.current()
	if err != nil {
		return NewHello{}, err
	}
	s.hello.mu.Lock()
	defer s.hello.mu.Unlock()
	if _, err := s.readHello(set, u); err == nil {
		return NewHello{}, prterr.New(prterr.Conflict, "user: this user has a Hello key: delete it first")
	} else if kind := prterr.KindOf(err); kind != prterr.NotFound && kind != prterr.KeysLost {
		return NewHello{}, err
	}
	k := &helloKey{Tenant: u.Tenant, User: u.User, Set: set.ID}
	var reset secret.Bytes
	if resettable {
		reset = newResetSecret()
	}
	err = p.runSlow(ctx, use{what: "make the Hello key", purpose: purposeHello, set: set.ID, owner: u.owner()}, func(c *tpmio.Conn) error {
		if err := p.same(set); err != nil {
			return err
		}
		var policy []byte
		var err error
		if resettable {
			// What is sealed is of no interest: the object is there for its authorisation.
			if k.Reset, err = p.create(c, dataTemplate(), reset, secret.NewBytes([]byte{0})); err != nil {
				return err
			}
			if policy, err = resetPolicy(k.Reset); err != nil {
				return err
			}
		}
		if k.Generation, err = s.newGeneration(c, u); err != nil {
			return err
		}
		auth := s.authHello(k, pin)
		defer auth.Wipe()
		k.Key, err = p.create(c, helloTemplate(policy), auth, secret.Bytes{})
		return err
	})
	if err != nil {
		return NewHello{}, err
	}
	public, err := k.Key.rsaKey()
	if err != nil {
		return NewHello{}, err
	}
	return NewHello{public, reset}, s.writeHello(k)
}

// newResetSecret is text, because an authorisation value must have no zero byte.
func newResetSecret() secret.Bytes {
	raw := make([]byte, resetBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	defer clear(raw)
	text := make([]byte, base64.RawURLEncoding.EncodedLen(resetBytes))
	base64.RawURLEncoding.Encode(text, raw)
	return secret.NewBytes(text)
}

// authHello is the authorisation value that a PIN stands for, in the key's generation.
func (s *Store) authHello(k *helloKey, pin secret.Text) secret.Bytes {
	return s.secret.auth(purposeHello, k.Set, string(k.Tenant), string(k.User), strconv.FormatUint(k.Generation, 10), pin.Reveal())
}

// resetPolicy is the digest of: the reset object was authorised, and the command
// is ObjectChangeAuth (TPM 2.0 Part 3, PolicySecret and PolicyCommandCode). So the
// secret of a reset changes a PIN and signs nothing.
func resetPolicy(reset blob) ([]byte, error) {
	name, err := reset.name()
	if err != nil {
		return nil, err
	}
	calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		tpm2.PolicySecret{AuthHandle: tpm2.AuthHandle{Name: tpm2.TPM2BName{Buffer: name}}}.Update(calculator),
		tpm2.PolicyCommandCode{Code: tpm2.TPMCCObjectChangeAuth}.Update(calculator),
	)
	return calculator.Hash().Digest, err
}

// SignHello signs a SHA-256 digest of a payload that the agent has built.
func (s *Store) SignHello(ctx context.Context, u HelloUser, pin secret.Text, build func(*rsa.PublicKey) (digest [sha256.Size]byte, err error)) (signature []byte, err error) {
	err = s.withPIN(ctx, u, pin, "sign with the Hello key", func(c *tpmio.Conn, _ *chip, k *helloKey, key tpm2.AuthHandle) error {
		public, err := k.Key.rsaKey()
		if err != nil {
			return err
		}
		digest, err := build(public)
		if err != nil {
			return err
		}
		r, err := tpm2.Sign{
			KeyHandle: key, Digest: tpm2.TPM2BDigest{Buffer: digest[:]}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
		}.Execute(c)
		if err != nil {
			return err
		}
		sig, err := r.Signature.Signature.RSASSA()
		if err == nil {
			signature = sig.Sig.Buffer
		}
		return err
	})
	return signature, err
}

// ChangePIN sets a new PIN in place of the one given.
func (s *Store) ChangePIN(ctx context.Context, u HelloUser, pin, next secret.Text) error {
	return s.withPIN(ctx, u, pin, "change the PIN", func(c *tpmio.Conn, p *chip, k *helloKey, key tpm2.AuthHandle) error {
		return s.newPIN(c, p, k, key, next)
	})
}

// newPIN has the TPM give the key another authorisation value. The blob from before
// would go on working with the old PIN, so the key goes to its next generation: the
// caller writes it, and then advances the counter. A session that encrypts goes beside one that does not.
func (s *Store) newPIN(c *tpmio.Conn, p *chip, k *helloKey, key tpm2.AuthHandle, pin secret.Text, encrypted ...tpm2.Session) error {
	if k.Generation != 0 {
		k.Generation++
	}
	auth := s.authHello(k, pin)
	defer auth.Wipe()
	r, err := tpm2.ObjectChangeAuth{
		ObjectHandle: key, ParentHandle: tpm2.NamedHandle{Handle: p.root.handle, Name: p.root.name},
		NewAuth: tpm2.TPM2BAuth{Buffer: auth.Reveal()},
	}.Execute(c, encrypted...)
	if err != nil {
		return err
	}
	p.evict(c, k.Key)
	k.Key.Private = r.OutPrivate.Buffer
	return nil
}

// withPIN does f with the key of a user, opened with the PIN in the encrypted
// session: the value is not on the bus, and a wrong one counts in the agent and in
// the TPM.
func (s *Store) withPIN(ctx context.Context, u HelloUser, pin secret.Text, what string, f func(*tpmio.Conn, *chip, *helloKey, tpm2.AuthHandle) error) error {
	set, p, err := s.current()
	if err != nil {
		return err
	}
	s.hello.mu.Lock()
	defer s.hello.mu.Unlock()
	k, err := s.readHello(set, u)
	if err != nil {
		return err
	}
	before := *k
	if err := s.count(k); err != nil {
		return err
	}
	auth := s.authHello(k, pin)
	defer auth.Wipe()
	err = p.run(ctx, use{what: what, purpose: purposeHello, set: set.ID, owner: u.owner()}, func(c *tpmio.Conn) error {
		k.Generation = before.Generation // a second attempt begins as the first
		key, err := s.loadHello(c, p, set, k)
		if err != nil {
			return err
		}
		key.Auth = c.Session(auth.Reveal(), tpmio.ToTPM)
		return wrongPIN(f(c, p, k, key))
	})
	switch {
	case err == nil:
		k.Wrong = 0
		return s.keep(ctx, p, k, before.Generation)
	case errors.Is(err, errWrongPIN):
		return prterr.Wrap(prterr.Unauthenticated, err, "pin: it is wrong; %d tries are left for this user", userTries-k.Wrong).WithHRESULT(tpmio.HRESULTWrongPIN)
	default:
		// Nothing was tried: the TPM did not get as far as the PIN.
		*k = before
	}
	return errors.Join(err, s.writeHello(k))
}

// loadHello puts the key of a user into a slot, if it is the newest of that user. What
// authorises its use is the caller's to add.
func (s *Store) loadHello(c *tpmio.Conn, p *chip, set *keySet, k *helloKey) (tpm2.AuthHandle, error) {
	if err := p.same(set); err != nil {
		return tpm2.AuthHandle{}, err
	}
	if err := s.checkGeneration(c, k); err != nil {
		return tpm2.AuthHandle{}, err
	}
	h, err := p.load(c, k.Key)
	if err != nil {
		return tpm2.AuthHandle{}, err
	}
	name, err := k.Key.name()
	return tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}}, err
}

var errWrongPIN = errors.New("the TPM refuses the PIN")

// wrongPIN marks the answers that speak of the PIN, before they get the names of
// keys whose authorisation is the agent's own.
func wrongPIN(err error) error {
	var rc tpm2.TPMRC
	if errors.As(err, &rc) && (rc.Is(tpm2.TPMRCAuthFail) || rc.Is(tpm2.TPMRCBadAuth)) {
		return prterr.Wrap(prterr.Unauthenticated, errors.Join(errWrongPIN, err), "pin: it is wrong")
	}
	return err
}

// ResetPIN sets a new PIN with the secret that the PIN reset service has given
// back. Wrong PINs of before are forgotten.
func (s *Store) ResetPIN(ctx context.Context, u HelloUser, reset secret.Bytes, next secret.Text) error {
	set, p, err := s.current()
	if err != nil {
		return err
	}
	s.hello.mu.Lock()
	defer s.hello.mu.Unlock()
	k, err := s.readHello(set, u)
	if err != nil {
		return err
	}
	if k.Reset.empty() {
		return prterr.New(prterr.Conflict, "user: this Hello key was made without a PIN reset service: delete it and set up a new one")
	}
	before := k.Generation
	err = p.run(ctx, use{what: "reset the PIN", purpose: purposeHello, set: set.ID, owner: u.owner()}, func(c *tpmio.Conn) error {
		k.Generation = before // a second attempt begins as the first
		key, err := s.loadHello(c, p, set, k)
		if err != nil {
			return err
		}
		object, done, err := p.beside(c, k.Reset)
		if err != nil {
			return err
		}
		defer done()
		resetName, err := k.Reset.name()
		if err != nil {
			return err
		}
		key.Auth = policy(c, func(session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
			_, err := tpm2.PolicySecret{
				AuthHandle:    tpm2.AuthHandle{Handle: object, Name: tpm2.TPM2BName{Buffer: resetName}, Auth: c.Session(reset.Reveal(), tpmio.Neither)},
				PolicySession: session, NonceTPM: nonce,
			}.Execute(c)
			if err != nil {
				return err
			}
			_, err = tpm2.PolicyCommandCode{PolicySession: session, Code: tpm2.TPMCCObjectChangeAuth}.Execute(c)
			return err
		})
		return wrongReset(s.newPIN(c, p, k, key, next, c.Session(nil, tpmio.ToTPM)))
	})
	if err != nil {
		return err
	}
	k.Wrong = 0
	return s.keep(ctx, p, k, before)
}

// keep writes a key, and when it is of another generation than before, has the TPM
// count. In this order: a crash between the two leaves a key that is one ahead, which
// its next use sets right.
func (s *Store) keep(ctx context.Context, p *chip, k *helloKey, before uint64) error {
	if err := s.writeHello(k); err != nil || k.Generation == before {
		return err
	}
	return p.run(ctx, use{what: "leave the old PIN behind"}, func(c *tpmio.Conn) error { return s.checkGeneration(c, k) })
}

func wrongReset(err error) error {
	if badBlob(err) {
		return prterr.New(prterr.Denied, "reset_secret: it is not for this Hello key")
	}
	return err
}
