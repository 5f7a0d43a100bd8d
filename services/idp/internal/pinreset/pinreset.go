// Package pinreset is the PIN reset service: it gives a device the secret back that
// lets a forgotten PIN of Windows Hello be changed without losing the key.
//
// What lives here: one RSA key, which devices wrap that secret for when they make a
// Hello key, and the check of who may have it opened. What never may: a PIN, a
// Hello key, and the secret itself beyond the call that opens it. The server's edge
// calls it for the sign-in service of a device.
//
// A secret is wrapped with the name of its key as the label of RSA-OAEP (RFC 8017
// section 7.1): the secret of another user's key on the same device does not open
// under one's own name.
package pinreset

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const (
	// ClientID is the one application whose tokens are taken, by the public service's
	// id: that of the device's own page. With those of any other, whoever phished a
	// token for something could have a PIN reset.
	ClientID = ids.ClientID("9115dd05-fad5-4f9c-acc7-305d08b1b04e")
	// Resource is what a token must be for.
	Resource = "https://cred.microsoft.com"

	bits = 2048
	// fresh is how old the second factor behind a token may be.
	fresh = 10 * time.Minute
	// keyKind and keyName are where the vault has the key.
	keyKind, keyName = "key", "pin-reset"
)

// Tokens reads access tokens of ours; the issuance room does.
type Tokens interface {
	ReadAccessToken(text secret.Text) (issuance.AccessToken, bool)
}

// Config of the service. Every field but Vault must be set.
type Config struct {
	Tenants   *tenant.Set
	Directory *directory.Directory
	Tokens    Tokens
	Log       *signinlog.Log
	Clock     clock.Clock
	// Vault keeps the key over a restart; nil keeps nothing, and then what was
	// wrapped before a restart is lost.
	Vault issuance.Vault
}

// Service opens secrets. It is safe for concurrent use.
type Service struct {
	cfg Config
	key func() (*rsa.PrivateKey, error)
}

// New makes the service. The key is made, or read, when it is first asked for.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg}
	s.key = sync.OnceValues(s.openKey)
	return s
}

// kept is the key as the vault has it, PKCS #8.
type kept struct{ Key []byte }

func (s *Service) openKey() (*rsa.PrivateKey, error) {
	ctx := context.Background()
	if s.cfg.Vault != nil {
		raw, err := s.cfg.Vault.Document(ctx, keyKind, keyName)
		if err == nil {
			return readKey(raw)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil || s.cfg.Vault == nil {
		return key, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(kept{Key: der})
	if err == nil { // of several that make it at once all have the first
		raw, err = s.cfg.Vault.SwapDocument(ctx, keyKind, keyName, nil, raw)
	}
	if err != nil {
		return nil, err
	}
	return readKey(raw)
}

func readKey(raw []byte) (*rsa.PrivateKey, error) {
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(k.Key)
	if key, ok := parsed.(*rsa.PrivateKey); err == nil && ok && key.N.BitLen() == bits {
		return key, nil
	}
	return nil, fmt.Errorf("the key in the vault is not RSA of %d bits", bits)
}

// PublicKey is the DER SubjectPublicKeyInfo that devices wrap for.
func (s *Service) PublicKey() ([]byte, error) {
	key, err := s.key()
	if err != nil {
		return nil, prterr.Wrap(prterr.Internal, err, "the key of the PIN reset service cannot be had")
	}
	return x509.MarshalPKIXPublicKey(&key.PublicKey)
}

// Wrapped is a secret that a device wants opened.
type Wrapped struct {
	// Token is an access token for Resource of the user, made on the device, with a
	// second factor of the last ten minutes.
	Token secret.Text
	// KeyID is the kid of the Hello key, and Secret what was wrapped under that name.
	KeyID  string
	Secret []byte
}

// refused is the one answer to a request that is not good, whatever is wrong: whose
// key is whose, and what opens, is told to nobody.
func refused() error {
	return prterr.New(prterr.Denied, "the PIN of this key cannot be reset with that token: sign in again with a second factor, on the device that has the key")
}

// Open opens a wrapped secret. Every try leaves a row in the log.
func (s *Service) Open(ctx context.Context, w Wrapped) (out secret.Bytes, err error) {
	e := signinlog.Event{Flow: signinlog.ResetPIN, Client: ClientID}
	defer func() { s.cfg.Log.Record(ctx, s.cfg.Clock.Now(), e, err) }()
	if e.Hidden, err = s.check(ctx, w, &e); err != nil {
		return secret.Bytes{}, err
	}
	if e.Hidden != "" {
		return secret.Bytes{}, refused()
	}
	key, err := s.key()
	if err != nil {
		return secret.Bytes{}, prterr.Wrap(prterr.Internal, err, "the key of the PIN reset service cannot be had")
	}
	plain, failed := rsa.DecryptOAEP(sha256.New(), nil, key, w.Secret, []byte(w.KeyID))
	if failed != nil {
		e.Hidden = "the secret does not open under the name of that key"
		return secret.Bytes{}, refused()
	}
	return secret.NewBytes(plain), nil
}

// check says in words for the log what is wrong with a request, and nothing when it
// is good. An error is ours.
func (s *Service) check(ctx context.Context, w Wrapped, e *signinlog.Event) (why string, err error) {
	t, ok := s.cfg.Tokens.ReadAccessToken(w.Token)
	if !ok {
		return "the token is not one of ours or has expired", nil
	}
	e.Tenant, e.Device, e.Client = t.Tenant, t.DeviceID, t.Client
	home, known := s.cfg.Tenants.Tenant(t.Tenant)
	if !known {
		return "the token is of no tenant here", nil
	}
	r, known := home.Resource(Resource)
	switch mfa := time.Unix(t.From.MFATime, 0); {
	case !known || !t.Is(r):
		return "the token is for another resource", nil
	case t.Client != ClientID:
		return "the token is of another application", nil
	case t.KeyID != "":
		return "the token is bound to a key, and no proof of it was brought", nil
	case !slices.Contains(t.From.AMR, "ngcmfa") || t.From.MFATime == 0 || s.cfg.Clock.Now().Sub(mfa) > fresh:
		return "the token has no second factor of the last ten minutes", nil
	case t.DeviceID == "":
		return "the token names no device", nil
	case t.From.PassEnded(s.cfg.Clock.Now()):
		return "the pass behind the token has ended", nil
	}
	return s.stands(ctx, home, t, w.KeyID, e)
}

// stands holds the token against the directory as it is now: the user, the device,
// and the key of the two.
func (s *Service) stands(ctx context.Context, home *tenant.Tenant, t issuance.AccessToken, keyID string, e *signinlog.Event) (why string, err error) {
	u, err := s.cfg.Directory.User(ctx, t.Tenant, t.User)
	e.User = u.UPN
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return "", err
	case err != nil:
		return "the user does not exist or is disabled", nil //nolint:nilerr // refused by the caller, with one text
	case u.SessionEpoch != t.From.SessionEpoch, t.From.Credential == sealed.Password && u.PasswordEpoch != t.From.PasswordEpoch:
		return "the token was revoked", nil
	}
	dev, err := s.cfg.Directory.Device(ctx, t.Tenant, t.DeviceID)
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return "", err
	case err != nil || directory.Standing(home.Profile, dev) != nil || issuance.Fingerprint(dev) != t.From.Certificate:
		return "the device does not stand", nil //nolint:nilerr // refused by the caller, with one text
	}
	mine := slices.ContainsFunc(u.HelloKeys, func(k store.HelloKey) bool {
		return k.KeyID == keyID && keyID != "" && k.Device == dev.ID && k.Origin() == store.Registered
	})
	if !mine {
		return "the user has no such key on this device", nil
	}
	return "", nil
}
