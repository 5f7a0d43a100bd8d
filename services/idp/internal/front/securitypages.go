package front

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/pages"
)

// The kinds of methods that people add here.
const (
	kindCode    = "softwareOath"
	kindPush    = "microsoftAuthenticatorPush"
	kindSMS     = "sms"
	kindVoice   = "voice"
	kindPasskey = "fido2"
)

// securityView is a page of the security information.
func (x *exchange) securityView(stage, kind string) pages.View {
	return pages.View{
		Name: "SecurityInfo", Stage: stage, Page: &idpv1.SignInPage{}, Locales: x.locales, Accept: header(x.r, "Accept-Language", 512),
		Info: &pages.Info{
			Token: securityCanary(x.securityToken()), Kind: kind,
			List: securityInfoPath, Begin: securityBegin, Complete: securityComplete, Remove: securityRemove, MakeDefault: securityDefault, SignOut: securitySignOut,
		},
	}
}

// showSecurity writes one of these pages. Nobody opens them in a window of their own,
// so they also let go of whoever did; the pages of a sign-in do not, because
// applications watch the window that they opened for one.
func (x *exchange) showSecurity(v pages.View) error {
	x.w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	return x.write(http.StatusOK, v)
}

// problem says on a page what went wrong.
func (x *exchange) problem(err error) *pages.Problem {
	r := x.explain(err)
	return &pages.Problem{Number: int32(r.code), Code: r.code.String(), Text: r.message}
}

// securityList shows what a person has registered.
func (x *exchange) securityList() error {
	q, err := x.query()
	if err != nil {
		return err
	}
	x.correlate(q)
	token := x.securityToken()
	if token == "" {
		if q["signed"] != "" { // the browser keeps no cookie of ours: it would go on for ever
			return prterr.AADSTS(aadsts.UserInformationMissing, "")
		}
		return x.securitySignIn(signedPlain)
	}
	a, err := x.security.ListSecurityInfo(x.ctx, &idpv1.ListSecurityInfoRequest{Caller: x.caller(), AccessToken: token})
	if err != nil {
		return x.securityAgain(err, q["signed"])
	}
	v := x.securityView("list", "")
	v.Info.Person, v.Info.Addable = a.GetUserPrincipalName(), slices.DeleteFunc(slices.Clone(a.GetAddable()), func(kind string) bool { return !addable(kind) })
	v.Info.Done = map[string]string{"added": "security.added", "removed": "security.removed", "default": "security.changed"}[q["done"]]
	for _, m := range a.GetMethods() {
		v.Info.Methods = append(v.Info.Methods, pages.InfoMethod{
			ID: m.GetMethodId(), Kind: m.GetKind(), Display: m.GetDisplay(), IsDefault: m.GetIsDefault(), Removable: m.GetRemovable(),
		})
	}
	return x.showSecurity(v)
}

func addable(kind string) bool {
	return slices.Contains([]string{kindCode, kindPush, kindSMS, kindVoice, kindPasskey}, kind)
}

// securityBegins is the form that begins to register a method. What it needs of the
// person beforehand, it asks first.
func (x *exchange) securityBegins(p params) error {
	kind := p["kind"]
	if !addable(kind) {
		return prterr.AADSTS(aadsts.MissingField, "The form names no method that can be added here.")
	}
	// Whether the person may is asked first: a second factor that is missing is missed
	// now, and not behind another question.
	missing := (kind == kindSMS || kind == kindVoice) && p["phone_number"] == "" || kind == kindPasskey && p["display_name"] == ""
	a, err := x.security.BeginSecurityInfo(x.ctx, &idpv1.BeginSecurityInfoRequest{
		Caller: x.caller(), AccessToken: x.securityToken(), Kind: kind, PhoneNumber: p["phone_number"], DisplayName: p["display_name"],
	})
	invalid := err != nil && prterr.KindOf(err) == prterr.Invalid
	switch {
	case missing && (err == nil || invalid):
		return x.showSecurity(x.securityView("ask", kind))
	case invalid && kind != kindCode && kind != kindPush:
		v := x.securityView("ask", kind)
		v.Problem, v.Info.PhoneNumber = x.problem(err), p["phone_number"]
		return x.showSecurity(v)
	case err != nil:
		return x.securityAgain(err, "")
	}
	v := x.securityView(kind, kind)
	v.Info.Registration, v.Info.ActivationCode, v.Options = a.GetRegistration(), a.GetActivationCode(), a.GetOptions()
	if kind == kindCode {
		v.Info.OTPAuthURI = a.GetOtpauthUri()
		if v.Info.Secret, err = secretOf(a.GetOtpauthUri()); err != nil {
			return err
		}
	}
	return x.showSecurity(v)
}

// secretOf is the secret of a key URI in groups of four, for people to type.
func secretOf(keyURI string) (string, error) {
	u, err := url.Parse(keyURI)
	if err != nil || u.Scheme != "otpauth" || u.Query().Get("secret") == "" {
		return "", prterr.New(prterr.Internal, "the registration has no address of one-time codes")
	}
	return strings.Join(slices.Collect(chunks(u.Query().Get("secret"), 4)), " "), nil
}

func chunks(s string, size int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for ; s != ""; s = s[min(size, len(s)):] {
			if !yield(s[:min(size, len(s))]) {
				return
			}
		}
	}
}

// securityCompletes is the form with the proof. A proof that is not right may be tried
// again with the same registration, as long as the service takes it.
func (x *exchange) securityCompletes(p params) error {
	kind := p["kind"]
	if !addable(kind) {
		return prterr.AADSTS(aadsts.MissingField, "The form names no method that can be added here.")
	}
	credential := ""
	if kind == kindPasskey {
		var err error
		if credential, err = credentialJSON(p["credential"]); err != nil {
			return err
		}
	}
	a, err := x.security.CompleteSecurityInfo(x.ctx, &idpv1.CompleteSecurityInfoRequest{
		Caller: x.caller(), AccessToken: x.securityToken(), Registration: p["registration"], Code: p["code"], Credential: credential,
	})
	switch {
	case err == nil && a.GetMethodId() != "":
		x.see(securityInfoPath + "?done=added")
		return nil
	case err != nil && (prterr.KindOf(err) == prterr.Internal || prterr.KindOf(err) == prterr.Unavailable):
		return err
	}
	v := x.securityView("retype", kind)
	v.Info.Registration, v.Info.ActivationCode = p["registration"], p["activation"]
	switch kind {
	case kindPush:
		v.Stage = kindPush
	case kindPasskey:
		v.Stage = "ask" // a challenge is answered once
	}
	if err != nil {
		v.Problem = x.problem(err)
	} else {
		v.Info.Notice = "security.waiting"
	}
	return x.showSecurity(v)
}

func (x *exchange) securityRemoves(p params) error {
	_, err := x.security.RemoveSecurityInfo(x.ctx, &idpv1.RemoveSecurityInfoRequest{Caller: x.caller(), AccessToken: x.securityToken(), MethodId: p["method"]})
	if err != nil {
		return x.securityAgain(err, "")
	}
	x.see(securityInfoPath + "?done=removed")
	return nil
}

func (x *exchange) securityDefaults(p params) error {
	_, err := x.security.SetDefaultSecurityInfo(x.ctx, &idpv1.SetDefaultSecurityInfoRequest{Caller: x.caller(), AccessToken: x.securityToken(), MethodId: p["method"]})
	if err != nil {
		return x.securityAgain(err, "")
	}
	x.see(securityInfoPath + "?done=default")
	return nil
}

// securityLeaves forgets the token, and ends the session of the browser too: who
// leaves these pages on a shared computer means that.
func (x *exchange) securityLeaves(params) error {
	x.securitySet(securityCookie, "", -1)
	x.see("/common/oauth2/logout")
	return nil
}
