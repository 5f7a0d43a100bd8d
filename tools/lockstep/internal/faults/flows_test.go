package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
)

// flow is one way through the system that faults are tried on.
type flow struct {
	name, what string
	// breaks are the components whose calls are broken, in the order of the table, each
	// with the call that matters most in this flow and a field of its answer.
	breaks []vital
	// kinds are the ways to break them, nil for those of kinds().
	kinds []kind
	// joiner is whose tenant the device belongs to.
	joiner string
	// ready makes everything ready for one cell, act is the flow itself, and after is the
	// flow again when nothing is broken any more, with what is left of both.
	ready      func(context.Context, *scene) error
	act, after func(context.Context, *scene) string
}

// vital is a call to a component.
type vital struct {
	component, method, field string
	// of is the method whose answer has the field, when it is another one: an answer under
	// a session key has no integrity by itself, so a change in it may go unseen.
	of string
	// behind says that the call is made behind a desktop that is open: nobody waits for it.
	behind bool
	// brief says that who calls waits for a moment of its own and goes on without an answer:
	// nobody's deadline passes.
	brief bool
	// once says that a field is corrupted one time and no more, because other answers of
	// the method do not have it.
	once bool
}

func flows() []flow {
	return []flow{
		{
			name: "join", what: "an administrator joins the device to a tenant; what is left is one device there",
			breaks: []vital{
				{component: "dsreg", method: "RegistrationService/JoinDevice", field: "device_id"},
				{component: "tpm-agent", method: "DeviceKeyService/CreateDeviceKeys", field: "transport_public_key"},
				{component: "idp", method: "DeviceRegistrationService/RegisterDevice", field: "certificate"},
			},
			ready: readyToJoin, act: join, after: joinAgain,
		},
		{
			name: "first sign-in", what: "somebody new types a password; the desktop opens with a PRT or not at all", joiner: "alice",
			breaks: []vital{
				{component: "lsa-cloudap", method: "LogonService/LogonUser", field: "logon_session"},
				{component: "dsreg", method: "DeviceStateService/GetDeviceState", field: "device_id"},
				{component: "tpm-agent", method: "PRTKeyService/ImportSessionKey", field: "session_key.sealed"},
				{component: "idp", method: "IssuanceService/RequestPRT", field: "session_key_jwe"},
			},
			ready: somebodyNew, act: firstSignIn, after: useTheDesktop,
		},
		{
			name: "federated sign-in", what: "a user of a federated organisation types a password on a device that does not know her", joiner: "frank",
			breaks: []vital{{component: "adfs", method: "FederationService/IssueToken", field: "saml_assertion"}},
			kinds:  assertionKinds(),
			ready:  forgetCarol, act: firstSignIn, after: useTheDesktop,
		},
		{
			name: "cached sign-in and renewal", what: "the device knows her; the desktop opens from the cache, and behind it a PRT that is due is renewed", joiner: "alice",
			breaks: []vital{
				{component: "lsa-cloudap", method: "LogonService/LogonUser", field: "logon_session"},
				{component: "dsreg", method: "DeviceStateService/GetDeviceState", field: "device_id", brief: true},
				{component: "tpm-agent", method: "PRTKeyService/SignPRTRenewal", field: "request", behind: true},
				{component: "idp", method: "IssuanceService/RenewPRT", of: "NonceService/IssueNonce", field: "nonce", behind: true},
			},
			ready: renewalIsDue, act: cachedSignIn, after: renewedInTheEnd,
		},
		{
			name: "app token", what: "an app asks the broker for a new token, silently; the resource then looks at it", joiner: "alice",
			breaks: []vital{
				{component: "wam-broker", method: "BrokerService/RequestToken", field: "access_token"},
				{component: "lsa-cloudap", method: "TokenAuthorityService/SignTokenRequest", field: "request"},
				{component: "dsreg", method: "DeviceStateService/GetDeviceState", field: "device_id"},
				{component: "tpm-agent", method: "PRTKeyService/SignTokenRequest", field: "request"},
				{component: "idp", method: "TokenService/*", of: "NonceService/IssueNonce", field: "nonce"},
			},
			ready: signedIn, act: appToken, after: appToken,
		},
		atTheWindow(),
		{
			name: "browser", what: "a browser opens a page with the PRT; without one the page asks", joiner: "alice",
			breaks: []vital{
				{component: "browsercore", method: "NativeHostService/ExchangeMessage", field: "message"},
				{component: "lsa-cloudap", method: "CookieAuthorityService/CreatePRTCookie", field: "value"},
				{component: "tpm-agent", method: "PRTKeyService/SignPRTCookie", field: "cookie"},
				{component: "idp", method: "SessionService/Authorize", field: "nonce_challenge.sso_nonce", once: true},
			},
			ready: signedIn, act: browse, after: browse,
		},
	}
}

// said is an error as the table has it: its kind, and the code of the identity provider
// or of Windows.
func said(err error) string {
	var e *prterr.Error
	if !errors.As(err, &e) {
		return err.Error() // of an actor, and no component's
	}
	text := string(e.Kind)
	if e.Kind == prterr.Internal {
		text += ": " + e.Msg
	}
	if e.Code != 0 {
		text += fmt.Sprintf(" AADSTS%d", e.Code)
	}
	if e.HRESULT != 0 {
		text += fmt.Sprintf(" 0x%08x", e.HRESULT)
	}
	return text
}

func readyToJoin(ctx context.Context, s *scene) error {
	s.who = demo.People()["alice"]
	if id, err := s.device.ID(ctx); err != nil || id == "" {
		return err
	}
	if err := s.device.Operator.Leave(ctx); err != nil {
		// The cell before left a device that cannot prove itself: this is the way out of it.
		if _, err := dsregv1.NewRegistrationServiceClient(s.device.Operator.Dsreg).LeaveDevice(ctx, &dsregv1.LeaveDeviceRequest{LocalOnly: true}); err != nil {
			return err
		}
	}
	s.before = s.devices(ctx)
	return nil
}

func join(ctx context.Context, s *scene) string {
	if _, err := s.device.Operator.Join(ctx, s.who.UPN, s.who.Password, "DESKTOP"); err != nil {
		return "not joined: " + said(err)
	}
	return "joined"
}

// joinPatiently joins once the join of before, whose caller has gone, has ended too: until
// then the device asks to wait and try again.
func joinPatiently(ctx context.Context, s *scene) error {
	for {
		_, err := s.device.Operator.Join(ctx, s.who.UPN, s.who.Password, "DESKTOP")
		if prterr.KindOf(err) != prterr.Conflict || ctx.Err() != nil {
			return err
		}
		time.Sleep(watching)
	}
}

func joinAgain(ctx context.Context, s *scene) string {
	text := "is joined"
	if id, err := s.device.ID(ctx); err != nil {
		return "no state: " + said(err)
	} else if id == "" {
		text = "joined"
		if err := joinPatiently(ctx, s); err != nil {
			text = "not joined: " + said(err)
		}
	}
	n := s.devices(ctx) - s.before
	if n == 1 {
		return text
	}
	return fmt.Sprintf("%s, %d devices", text, n)
}

// somebodyNew is a user whom no device knows.
func somebodyNew(ctx context.Context, s *scene) (err error) {
	s.who, err = s.newUser(ctx)
	return err
}

func forgetCarol(ctx context.Context, s *scene) error {
	s.who = demo.People()["carol"]
	if err := s.device.Stop("lsa-cloudap"); err != nil {
		return err
	}
	if err := os.RemoveAll(s.device.StateDir("lsa-cloudap")); err != nil {
		return err
	}
	return s.device.Resume(context.WithoutCancel(ctx), "lsa-cloudap")
}

func firstSignIn(ctx context.Context, s *scene) string {
	d, err := s.enter(ctx)
	if err != nil {
		return "no desktop: " + said(err)
	}
	return "desktop" + map[bool]string{true: " from the cache"}[d.FromCache]
}

// useTheDesktop signs in again, once more, and has a token; it counts the PRTs.
func useTheDesktop(ctx context.Context, s *scene) string {
	text := firstSignIn(ctx, s) + s.tokenOrAgain(ctx)
	parts, err := s.device.Operator.SSOState(ctx)
	n := 0
	for _, p := range parts {
		if p.GetUserPrincipalName() == s.who.UPN {
			n++
		}
	}
	if err != nil || n != 1 {
		text += fmt.Sprintf(", %d PRTs %v", n, err)
	}
	return text
}

// signedIn has alice before an open desktop, with a PRT that is good.
func signedIn(ctx context.Context, s *scene) error {
	s.who = demo.People()["alice"]
	if !s.desktop.Session.Empty() {
		return nil
	}
	_, err := s.enter(ctx)
	return err
}

// enter signs in and has the desktop.
func (s *scene) enter(ctx context.Context) (actor.Desktop, error) {
	d, _, err := s.device.LogonUI.SignIn(ctx, s.who.UPN, s.who.Password)
	if err == nil {
		s.desktop = d
	}
	return d, err
}

// renewalIsDue has nobody before the device, which knows alice, and her PRT older than
// four hours.
func renewalIsDue(ctx context.Context, s *scene) error {
	if err := signedIn(ctx, s); err != nil {
		return err
	}
	// With somebody before it the clock alone would renew: the device is switched off and on.
	if err := s.device.Restart(context.WithoutCancel(ctx), "lsa-cloudap"); err != nil {
		return err
	}
	s.desktop, s.waits = actor.Desktop{}, false
	if err := s.lab.Advance(ctx, 4*time.Hour+time.Minute); err != nil {
		return err
	}
	p, err := s.prt(ctx)
	s.digest = p.GetPrtDigest()
	return err
}

func cachedSignIn(ctx context.Context, s *scene) string {
	d, err := s.enter(ctx)
	if err != nil {
		return "no desktop: " + said(err)
	}
	text := "desktop" + map[bool]string{true: " from the cache"}[d.FromCache]
	if !s.renewalEnds(ctx) {
		s.waits = true
		return text + ", the renewal waits"
	}
	p, err := s.prt(ctx)
	switch {
	case err != nil:
		return text + ", " + said(err)
	case p.GetPrtDigest() != s.digest:
		return text + ", renewed"
	default:
		return text + ", the PRT stays"
	}
}

// renewalEnds waits for the renewal behind the desktop; one that a fault holds up for ever
// does not end.
func (s *scene) renewalEnds(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.held != nil {
		go func() {
			select {
			case <-s.held:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return s.device.Operator.AwaitSSOState(ctx, nil) == nil
}

// renewedInTheEnd has the next sign-in renew, and an app get a token.
func renewedInTheEnd(ctx context.Context, s *scene) string {
	if s.waits { // the call that is held up ends with the process
		s.waits = false
		if err := s.device.Restart(context.WithoutCancel(ctx), "lsa-cloudap"); err != nil {
			return said(err)
		}
	}
	text := cachedSignIn(ctx, s)
	if p, err := s.prt(ctx); err != nil || p.GetPrtDigest() == s.digest {
		text += ", not renewed at all"
	}
	return text + s.tokenOrAgain(ctx)
}

// tokenOrAgain has an app get a token; nothing is said when it does. Else the next sign-in
// has to set things right, and what it does is said.
func (s *scene) tokenOrAgain(ctx context.Context) string {
	got := appToken(ctx, s)
	if got == "token" {
		return ""
	}
	text := ", " + got + ", next " + firstSignIn(ctx, s)
	_ = s.device.Operator.AwaitSSOState(ctx, nil) // what is left is seen by the token
	return text + ", " + appToken(ctx, s)
}

func (s *scene) prt(ctx context.Context) (*lsav1.PartitionState, error) {
	parts, err := s.device.Operator.SSOState(ctx)
	for _, p := range parts {
		if p.GetUserPrincipalName() == s.who.UPN {
			return p, nil
		}
	}
	return nil, err
}

func appToken(ctx context.Context, s *scene) string {
	resp, _, err := s.device.App(s.tenant.App).Token(ctx, s.desktop, s.tenant.Resource, true)
	switch {
	case err != nil:
		return "no token: " + said(err)
	case resp.GetUserPrincipalName() != s.who.UPN:
		return "A TOKEN OF " + resp.GetUserPrincipalName()
	default:
		return s.shown(ctx, resp.GetAccessToken())
	}
}

func browse(ctx context.Context, s *scene) string {
	v, err := s.device.Browser.Open(ctx, s.desktop, s.tenant.Page, secret.Text{})
	switch {
	case err != nil:
		return "no page: " + said(err)
	case v.SignInPage:
		return "the page asks"
	default:
		return "signed in"
	}
}

// shown is what a resource says to a token: whose it is, or that it is none.
func (s *scene) shown(ctx context.Context, token string) string {
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "https://graph.microsoft.com/v1.0/me", nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.web.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	return s.owner(resp)
}
