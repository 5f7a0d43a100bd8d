// Package deviceflow keeps the sign-ins by device code that are under way
// (RFC 8628): one party shows a code, a person types it elsewhere, the first
// party asks until that person has answered.
//
// What lives here: the two codes, what was asked for, and the person's answer,
// sealed. What never may: a decision about who may approve, and tokens. The token
// endpoint starts a flow and redeems it; the sign-in pages and an operator look it
// up by the code that was typed, and approve or decline it.
package deviceflow

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// Lifetime is how long a person has to answer.
	Lifetime = 15 * time.Minute
	// Interval is how long a client should wait between two polls.
	Interval = 5 * time.Second
	// Origin is what marks everything that came of a device code.
	Origin = "device_code"

	kind = "device_code"
	// remembered is how long an ended flow is still known to have ended, so that a
	// client hears of that and not of a code that never was.
	remembered = 15 * time.Minute
	userSize   = 9
	// alphabet has 32 letters, none of which looks like another one.
	alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
)

// Pendings is the part of the store that keeps what waits.
type Pendings interface {
	AddPending(ctx context.Context, p store.Pending) error
	Pending(ctx context.Context, kind, key string, now time.Time) (store.Pending, error)
	UpdatePending(ctx context.Context, kind, key string, now time.Time, change func(*store.Pending) error) error
	DeletePending(ctx context.Context, kind, key string) error
}

// Sealer seals the answer of a person, because it may hold a session key.
type Sealer interface {
	Seal(a sealed.Artefact) (secret.Text, error)
	Open(want sealed.Type, text secret.Text) (sealed.Artefact, error)
}

// Config of the flows. Every field must be set, but for Clock.
type Config struct {
	Pendings Pendings
	Sealer   Sealer
	// Clock tells the time; nil is the machine's.
	Clock clock.Clock
}

// Flows are the sign-ins under way. It is safe for concurrent use.
type Flows struct {
	pendings Pendings
	sealer   Sealer
	clock    clock.Clock
}

// New makes the room.
func New(cfg Config) *Flows {
	return &Flows{pendings: cfg.Pendings, sealer: cfg.Sealer, clock: clock.Or(cfg.Clock)}
}

// Status of a flow.
type Status string

// The states. A flow leaves Waiting once.
const (
	Waiting  Status = "waiting"
	Approved Status = "approved"
	Declined Status = "declined"
)

// Request is what a client asks for. All of it has been checked.
type Request struct {
	Client ids.ClientID `json:"a"`
	// Tenant whose users may answer; empty is every tenant's.
	Tenant ids.TenantID `json:"t,omitempty"`
	// Version of the endpoint, 1 or 2: Resource goes with 1, Scope with 2.
	Version  int    `json:"v"`
	Resource string `json:"r,omitempty"`
	Scope    string `json:"s,omitempty"`
	// Claims is a claims request in JSON, AMRValues demands methods.
	Claims    string `json:"c,omitempty"`
	AMRValues string `json:"m,omitempty"`
}

// Flow is a sign-in under way, as whoever answers it may see it.
type Flow struct {
	Request
	UserCode string
	Status   Status
	Expires  time.Time
}

// Started is what the client gets.
type Started struct {
	// DeviceCode is for the client alone, UserCode for the person.
	DeviceCode secret.Text
	UserCode   string
	// Lifetime of both, and Interval between two polls.
	Lifetime, Interval time.Duration
}

// record is a flow as it is kept.
type record struct {
	Request
	Proof   [sha256.Size]byte `json:"p"`
	Expires time.Time         `json:"x"`
	Status  Status            `json:"y"`
	Answer  string            `json:"z,omitempty"`
}

// Start begins a flow.
func (f *Flows) Start(ctx context.Context, r Request) (Started, error) {
	now := f.clock.Now()
	proof := rand.Text()
	rec := record{Request: r, Proof: sha256.Sum256([]byte(proof)), Expires: now.Add(Lifetime), Status: Waiting}
	data, err := json.Marshal(rec)
	if err != nil {
		return Started{}, fmt.Errorf("device code: %w", err)
	}
	for range 3 { // two flows with one code of 45 bits meet hardly ever
		code := newUserCode()
		err = f.pendings.AddPending(ctx, store.Pending{Kind: kind, Key: code, Expires: rec.Expires.Add(remembered), Data: data})
		if err == nil {
			return Started{DeviceCode: secret.NewText(code + "." + proof), UserCode: code, Lifetime: Lifetime, Interval: Interval}, nil
		}
		if !errors.Is(err, store.ErrExists) {
			break
		}
	}
	return Started{}, prterr.Wrap(prterr.Internal, err, "the device code cannot be kept")
}

func newUserCode() string {
	var b [userSize]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	for i := range b {
		b[i] = alphabet[b[i]%byte(len(alphabet))] // 32 divides 256: no letter is likelier
	}
	return string(b[:])
}

// canonical is a user code as it is kept: people type small letters, blanks and
// hyphens. Empty when it cannot be one.
func canonical(typed string) string {
	if len(typed) > 4*userSize {
		return ""
	}
	code := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(typed))
	if len(code) != userSize || strings.Trim(code, alphabet) != "" {
		return ""
	}
	return code
}

// ByUserCode finds the flow of a code that a person typed. AADSTS70018 when there
// is none, AADSTS70019 when its time is over.
func (f *Flows) ByUserCode(ctx context.Context, typed string) (Flow, error) {
	code := canonical(typed)
	rec, err := f.find(ctx, code)
	switch {
	case err != nil:
		return Flow{}, err
	case f.clock.Now().After(rec.Expires):
		return Flow{}, prterr.AADSTS(aadsts.CodeExpired, "")
	}
	return Flow{Request: rec.Request, UserCode: code, Status: rec.Status, Expires: rec.Expires}, nil
}

func (f *Flows) find(ctx context.Context, code string) (record, error) {
	if code == "" {
		return record{}, prterr.AADSTS(aadsts.BadVerificationCode, "")
	}
	p, err := f.pendings.Pending(ctx, kind, code, f.clock.Now())
	if err != nil {
		return record{}, named(err)
	}
	return read(p)
}

func read(p store.Pending) (rec record, err error) {
	if err := json.Unmarshal(p.Data, &rec); err != nil {
		return record{}, fmt.Errorf("device code as kept: %w", err)
	}
	return rec, nil
}

func named(err error) error {
	var known *prterr.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, store.ErrNotFound):
		return prterr.AADSTS(aadsts.BadVerificationCode, "")
	default:
		return prterr.Wrap(prterr.Internal, err, "the device code cannot be read or kept")
	}
}

// same compares a proof with the digest that is kept, in constant time.
func (r record) same(proof string) bool {
	sum := sha256.Sum256([]byte(proof))
	return subtle.ConstantTimeCompare(sum[:], r.Proof[:]) == 1
}
