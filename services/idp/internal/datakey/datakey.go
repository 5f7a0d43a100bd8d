// Package datakey keeps one symmetric key for each user on each device, under which
// the device's data-protection key of that user rests (DPAPI in Windows).
//
// What lives here: the making of such a key at the first request, its record, sealed
// under the sealing keys of the identity provider, and the request that delivers it.
// What never may: a key in the clear outside of an answer under a session key, a token,
// and anything of the device's own data-protection key, which is not known here. The
// server's edge calls it.
//
// A request is judged like one for a token with the PRT, by the same phases
// (grants.BySession): signature, nonce, replay, device, user, revocation, expiry. No
// policy is asked, because nothing of a resource is given. So a disabled or deleted
// user or device is refused here as everywhere, and then the device's cache of refresh
// tokens stays locked.
package datakey

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Sealer seals what rests in the store; the issuance room does.
type Sealer interface {
	SealState(plain []byte) secret.Text
	OpenState(text secret.Text) ([]byte, error)
	// Newest says whether a text is under the key that seals now.
	Newest(text secret.Text) bool
}

// Config of the room; every field must be set.
type Config struct {
	Gate   *grants.Gate
	Keys   store.DataKeys
	Sealer Sealer
}

// Service delivers keys. It is safe for concurrent use, also by several providers on
// one store.
type Service struct{ cfg Config }

// New makes the service.
func New(cfg Config) *Service { return &Service{cfg} }

// Request is a signed request with what came beside it.
type Request struct {
	// Signed is the compact token.
	Signed secret.Text
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// Deliver checks a request and answers it, encrypted under the session key that signed.
func (s *Service) Deliver(ctx context.Context, r Request) (string, error) {
	return grants.BySession(ctx, s.cfg.Gate, grants.SessionKind[entrawire.DataKeyRequest, string]{
		Flow: signinlog.DataKey, Correlation: r.Correlation, Artefact: sealed.PRT, Check: check,
		Token:  func(c *entrawire.DataKeyRequest) secret.Text { return c.RefreshToken },
		Nonce:  func(c *entrawire.DataKeyRequest) string { return c.RequestNonce },
		Client: func(c *entrawire.DataKeyRequest) string { return c.ClientID },
		Answer: s.answer,
	}, r.Signed)
}

// check is the form of the claims, and that the client is one of the two that PRTs are
// for.
func check(c *entrawire.DataKeyRequest) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if id, err := ids.ParseClient(c.ClientID); err != nil || id != entrawire.SignInClientID && id != entrawire.BrokerClientID {
		return &entrawire.FieldError{Shape: "data key request", Field: "client_id", Problem: "is not a client that PRTs are for"}
	}
	return nil
}

func (s *Service) answer(ctx context.Context, from grants.Session, _ *entrawire.DataKeyRequest) (string, error) {
	if !from.DeviceGood { // a PRT without a device has nothing to lock
		return "", prterr.AADSTS(aadsts.DeviceAuthenticationRequired, "")
	}
	k, err := s.key(ctx, owner{from.Tenant.ID, from.User.ID, from.Device.ID})
	if err != nil {
		return "", err
	}
	defer clear(k.Key)
	plain, err := entrawire.NewDataKeyAnswer(k.ID, secret.NewBytes(k.Key)).Encode()
	if err != nil {
		return "", fmt.Errorf("data key answer: %w", err)
	}
	defer clear(plain)
	return issuance.SealAnswer(from.From, plain)
}

// owner is whose a key is.
type owner struct {
	Tenant ids.TenantID
	User   ids.UserID
	Device ids.DeviceID
}

// kept is a key as it is sealed. Its owner is in it, so that a record under another
// name is no key of theirs.
type kept struct {
	Kind  string `json:"kind"`
	Owner owner  `json:"owner"`
	ID    string `json:"id"`
	Key   []byte `json:"key"`
}

// kind tells these records from everything else that is sealed as a state.
const kind = "data-protection key"

// tries bounds how often a key is looked at anew because another request changed it.
const tries = 3

// key finds or makes the key of an owner. A record that does not open any more was
// sealed before so many changes of the sealing keys that none of them is left; a new
// key takes its place, and the device makes a new data-protection key with it.
func (s *Service) key(ctx context.Context, of owner) (kept, error) {
	for range tries {
		raw, err := s.cfg.Keys.DataKey(ctx, of.Tenant, of.User, of.Device)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return kept{}, fmt.Errorf("data key: %w", err)
		}
		k, ok := s.open(raw, of)
		if ok && s.cfg.Sealer.Newest(secret.NewText(string(raw))) {
			return k, nil
		}
		if !ok {
			k = fresh(of)
		}
		sealed, err := s.seal(k)
		if err != nil {
			return kept{}, err
		}
		stands, err := s.cfg.Keys.PutDataKey(ctx, store.DataKey{Tenant: of.Tenant, User: of.User, Device: of.Device, Sealed: sealed}, raw)
		switch {
		case errors.Is(err, store.ErrNotFound) && raw == nil:
			// The user or the device was removed since they were looked at.
			return kept{}, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return kept{}, fmt.Errorf("data key: %w", err)
		}
		if k, ok = s.open(stands, of); ok {
			return k, nil
		}
	}
	return kept{}, errors.New("data key: its record keeps changing")
}

func fresh(of owner) kept {
	k := kept{Kind: kind, Owner: of, ID: uuid.NewString(), Key: make([]byte, entrawire.DataKeySize)}
	_, _ = rand.Read(k.Key) // never fails: crypto/rand ends the process instead
	return k
}

func (s *Service) seal(k kept) ([]byte, error) {
	plain, err := json.Marshal(k)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	defer clear(plain)
	return []byte(s.cfg.Sealer.SealState(plain).Reveal()), nil
}

// open reads a record of an owner.
func (s *Service) open(raw []byte, of owner) (kept, bool) {
	if raw == nil {
		return kept{}, false
	}
	plain, err := s.cfg.Sealer.OpenState(secret.NewText(string(raw)))
	if err != nil {
		return kept{}, false
	}
	defer clear(plain)
	var k kept
	if json.Unmarshal(plain, &k) != nil || k.Kind != kind || k.Owner != of || len(k.Key) != entrawire.DataKeySize {
		return kept{}, false
	}
	return k, true
}
