// Package signinlog records who signed in, where, with what result and why.
//
// What lives here: the events of the last while, for an operator to read, and
// their way to the log. What never may: a secret, or text of a caller's choosing
// that has not been through a parser. The shared phases of a request write one
// event per request; nobody else does.
package signinlog

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
)

// Flow is what was asked for.
type Flow string

// The flows.
const (
	IssuePRT          Flow = "issue_prt"
	RenewPRT          Flow = "renew_prt"
	RedeemPRT         Flow = "redeem_prt"
	RedeemToken       Flow = "redeem_refresh_token"
	DataKey           Flow = "data_key"
	WebSignIn         Flow = "web_sign_in"
	WebSession        Flow = "web_session"
	RegistrationToken Flow = "registration_token"
	RegisterDevice    Flow = "register_device"
	DeleteDevice      Flow = "delete_device"
	// PRTCookie and DeviceHeader are the headers of a visit, each by itself; the
	// visit is a WebSignIn.
	PRTCookie     Flow = "prt_cookie"
	DeviceHeader  Flow = "device_header"
	SecondFactor  Flow = "second_factor"
	SignOut       Flow = "sign_out"
	RegisterHello Flow = "register_hello_key"
	ReplaceKeys   Flow = "replace_device_keys"
	// CheckDevice is a device that asks whether its tenant still takes it.
	CheckDevice Flow = "check_device"
	// Consented is a person who allowed an application something, or declined.
	Consented Flow = "consent"
	// SecurityInfo is a person who changed how they prove who they are.
	SecurityInfo Flow = "security_info"
)

// Outcome of an event.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Refused Outcome = "refused"
	// Failed is our fault: a bug, or a part that does not work.
	Failed Outcome = "failed"
)

// Event is one line of the sign-in log. Fields that were not established when
// the request ended are empty.
type Event struct {
	Time    time.Time
	Flow    Flow
	Tenant  ids.TenantID
	User    ids.UPN
	Device  ids.DeviceID
	Client  ids.ClientID
	Outcome Outcome
	// Code is the error code, 0 on success.
	Code aadsts.Code
	// Reason is why it was refused, in words.
	Reason string
	// Hidden says more than Reason: what the client must not learn.
	Hidden string
	// Protection of the keys of the device: software, emulated or hardware.
	Protection string
	// KDF is the least version of the key derivation that the session key of the
	// request takes, 0 when there is none. With 3 the key lives in the device's TPM.
	KDF int
	// Correlation is the client's own id for the request, a GUID, or empty.
	Correlation string
	// Detail is what the public service's log has beside.
	Detail
}

// Log keeps the newest events in memory. It is safe for concurrent use.
type Log struct {
	log  *slog.Logger
	sink func(Event)

	mu   sync.Mutex
	ring []Event
	next int // where the next event goes once the ring is full
}

// Size is how many events are kept.
const Size = 4096

// New makes an empty log. The sink may be nil; it is called outside any lock and
// must not block.
func New(log *slog.Logger, sink func(Event)) *Log { return &Log{log: log, sink: sink} }

// Add records an event.
func (l *Log) Add(ctx context.Context, e Event) {
	if e.ID == "" {
		e.ID = uuid.NewString()
	}
	switch e.Flow {
	case DeviceCode, StartDeviceCode:
		e.Protocol = DeviceCodeProtocol
	case Password:
		e.Protocol = PasswordProtocol
	default:
	}
	l.mu.Lock()
	if len(l.ring) < Size {
		l.ring = append(l.ring, e)
	} else {
		l.ring[l.next] = e
		l.next = (l.next + 1) % Size
	}
	l.mu.Unlock()
	if l.sink != nil {
		l.sink(e)
	}
	level := slog.LevelInfo
	if e.Outcome == Failed {
		level = slog.LevelError
	}
	l.log.LogAttrs(ctx, level, "sign-in",
		slog.String("flow", string(e.Flow)), slog.String("outcome", string(e.Outcome)),
		slog.String("tenant", string(e.Tenant)), slog.String("user", string(e.User)),
		slog.String("device", string(e.Device)), slog.String("client", string(e.Client)),
		slog.Int("aadsts", int(e.Code)), slog.String("reason", e.Reason), slog.String("detail", e.Hidden), slog.String("protection", e.Protection), slog.String("correlation", e.Correlation),
		slog.Int("kdf", e.KDF), slog.String("sign_in", e.ID), slog.String("conditional_access", e.AccessStatus()))
}

// Events returns the kept events, oldest first.
func (l *Log) Events() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Event, 0, len(l.ring))
	out = append(out, l.ring[l.next:]...)
	return append(out, l.ring[:l.next]...)
}
