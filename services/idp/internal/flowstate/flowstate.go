// Package flowstate is the state of an interactive sign-in, as it travels in the
// pages and comes back with every form.
//
// What lives here: what such a state holds, its sealing, its canary and its end.
// What never may: a decision, and a credential; a password is checked and
// forgotten before anything is sealed. The authorization endpoint begins a state,
// the forms of the pages carry it on.
//
// Forms are safe from other sites without a table of sessions: the state is
// sealed, so nobody can make one up; the canary inside it must stand in the form
// as well, so a state alone that leaked in an address does nothing; and a state
// knows its user from its own forms only, never from a cookie, so a form that
// another site has a browser post cannot act as the user of that browser. What is
// left is to sign somebody in as the attacker, which the edge stops by refusing
// forms with the Origin of another site: every browser tells it.
package flowstate

import (
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// Step is the page that a state belongs to; its form takes no state of another.
type Step string

// The steps.
const (
	SignIn Step = "sign_in"
	// Away is with the federation provider of the user.
	Away Step = "away"
	// Factor is the page of the second factor.
	Factor Step = "factor"
	// Change is the page that wants a new password.
	Change Step = "change"
	// Confirm is the page that asks before a device is signed in.
	Confirm Step = "confirm"
	// Consent is the page that asks what the application may do.
	Consent Step = "consent"
	// Certified is on the way back from the host that asks for certificates.
	Certified Step = "certified"
	// Over ends here: no form goes on from it.
	Over Step = "over"
)

// Asked is what the application asked for, all of it checked for form.
type Asked struct {
	Client      ids.ClientID `json:"c"`
	RedirectURI string       `json:"u,omitempty"`
	// Tenant of the path, or empty for any.
	Tenant ids.TenantID `json:"t,omitempty"`
	// V2 is the endpoint v2.0.
	V2 bool `json:"2,omitempty"`
	// Code and IDToken are the response type.
	Code    bool `json:"k,omitempty"`
	IDToken bool `json:"i,omitempty"`
	// Mode is query, fragment or form_post.
	Mode  string `json:"m,omitempty"`
	State string `json:"s,omitempty"`
	Nonce string `json:"n,omitempty"`
	Scope string `json:"o,omitempty"`
	// Resource by any of its names, or empty.
	Resource string `json:"r,omitempty"`
	// Challenge is "S256:" or "plain:" and the code_challenge of RFC 7636.
	Challenge string `json:"p,omitempty"`
	// Hint is the login_hint.
	Hint string `json:"h,omitempty"`
	// Silent is prompt=none, Fresh a prompt that demands a sign-in at a page.
	Silent bool `json:"q,omitempty"`
	Fresh  bool `json:"f,omitempty"`
	// Consent asks for consent once more, prompt=consent.
	Consent bool `json:"x,omitempty"`
	// FreshFactor demands a second factor now, Factor one at any time, Device a
	// device of the tenant.
	FreshFactor bool `json:"a,omitempty"`
	Factor      bool `json:"b,omitempty"`
	// Policies are those that a claims challenge named, by id.
	Policies []string `json:"pl,omitempty"`
	// Contexts are authentication contexts, acrs.
	Contexts []string `json:"ac,omitempty"`
	Device   bool     `json:"d,omitempty"`
	// CAE says that the client takes claims challenges.
	CAE bool `json:"e,omitempty"`
	// Encrypted says that the client wants its tokens under the session key.
	Encrypted bool `json:"w,omitempty"`
	// UserCode of a device; then the sign-in approves it and nothing else.
	UserCode string `json:"y,omitempty"`
}

// Proof is who the user is and how that is known. The zero value is nobody.
type Proof struct {
	Tenant     ids.TenantID      `json:"t,omitempty"`
	User       ids.UserID        `json:"u,omitempty"`
	Credential sealed.Credential `json:"r,omitempty"`
	AMR        []string          `json:"m,omitempty"`
	// Used are the methods that proved the user, in order; AMR follows from them.
	Used []methods.Used `json:"us,omitempty"`
	// PassEnds is when the Temporary Access Pass ends that the sign-in began with, in
	// seconds since 1970, 0 without one.
	PassEnds int64 `json:"pe,omitempty"`
	// AuthTime and MFATime are seconds since 1970; MFATime is 0 for never.
	AuthTime int64 `json:"w,omitempty"`
	MFATime  int64 `json:"f,omitempty"`
	// MFAKept is until when the device of a PRT kept the second factor alive.
	MFAKept int64 `json:"fk,omitempty"`
	// PasswordEpoch and SessionEpoch are the user's when the proof was given.
	PasswordEpoch uint64 `json:"p,omitempty"`
	SessionEpoch  uint64 `json:"s,omitempty"`
	// SessionID names the session that the sign-in begins or continues.
	SessionID string `json:"i,omitempty"`
	// Cookie is the text of the session cookie that was the proof.
	Cookie string `json:"c,omitempty"`
	// PRT is the PRT whose cookie was the proof, its own text.
	PRT string `json:"k,omitempty"`
	// Persistent is a session that the user wants to keep.
	Persistent bool `json:"e,omitempty"`
}

// Known reports whether somebody proved who they are.
func (p Proof) Known() bool { return p.User != "" }

// Prove adds a proof that was given just now, and what follows from all of them
// together. The session cookie of before knows nothing of it: there will be another.
func (p *Proof) Prove(m methods.Method, now time.Time) {
	p.Used = methods.Add(p.Used, m, now)
	amr := methods.AMR(methods.Names(p.Used))
	if t := methods.FactorTime(p.Used); !t.IsZero() {
		p.MFATime, amr = t.Unix(), append([]string{"mfa"}, amr...)
	}
	for _, v := range amr {
		if !slices.Contains(p.AMR, v) {
			p.AMR = append(p.AMR, v)
		}
	}
	p.Cookie = ""
}

// Device is the device that authenticated beside the user.
type Device struct {
	ID          ids.DeviceID `json:"d,omitempty"`
	Tenant      ids.TenantID `json:"t,omitempty"`
	Certificate []byte       `json:"c,omitempty"`
	// By is the user whose PRT authenticated it, or empty; for the log.
	By ids.UPN `json:"b,omitempty"`
}

// State is a sign-in under way.
type State struct {
	// ID names it, a GUID: sessionId on the pages.
	ID string `json:"i"`
	// Canary must come back with the form.
	Canary string `json:"c"`
	Step   Step   `json:"s"`
	// Began is when, in seconds since 1970.
	Began int64 `json:"b"`
	// Correlation is the client's own id for the request, a GUID.
	Correlation string `json:"x,omitempty"`
	Asked       Asked  `json:"a"`
	Proof       Proof  `json:"p,omitzero"`
	Device      Device `json:"d,omitzero"`
	// Method is the second factor that was begun.
	Method string `json:"m,omitempty"`
	// Domain is the federated one that the browser was sent to.
	Domain string `json:"f,omitempty"`
	// Passkey is the challenge that an authenticator was given last, PasskeyName the
	// user name that was typed for it, or empty.
	Passkey     passkey.Challenge `json:"pk,omitzero"`
	PasskeyName ids.UPN           `json:"pn,omitempty"`
	// Confirmed says that the person confirmed the device just now.
	Confirmed bool `json:"-"`
	// Carried says that the user was proven on an earlier page; such a state ends
	// a sign-in once.
	Carried bool `json:"-"`
	// Detail is what the sign-in log will say of the visit beside its outcome.
	Detail signinlog.Detail `json:"-"`
}

// Lifetime of a sign-in, from the first page to the last.
const Lifetime = time.Hour
