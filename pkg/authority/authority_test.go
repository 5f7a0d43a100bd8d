package authority

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	tenant = "11111111-1111-4111-8111-111111111111"
	alice  = "22222222-2222-4222-8222-222222222222"
)

func idToken(t testing.TB, claims string) string {
	t.Helper()
	token, err := jose.Unsigned([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestAPRTAnswerIsReadAsFromAStranger: each member has its form, and the id_token has to
// say whose the PRT is.
func TestAPRTAnswerIsReadAsFromAStranger(t *testing.T) {
	whole := `{"tid":"` + tenant + `","oid":"` + alice + `","upn":"Alice@contoso.test","name":"Alice\u0007 Adams","auth_time":1700000000,"mfa_time":1700000001,"amr":["pwd","mfa"]}`
	good := issuedPRT{prt: "1.A.prt", wrapped: "a.b.c.d.e", idToken: idToken(t, whole), expiresIn: 1209600}
	got, err := good.read()
	if err != nil {
		t.Fatal(err)
	}
	if got.PRT.Reveal() != "1.A.prt" || got.Life != 14*24*time.Hour || got.WrappedKey != "a.b.c.d.e" || got.Tenant != tenant || got.User != alice ||
		got.UPN != "alice@contoso.test" || got.Name != "Alice Adams" || got.MFATime.Unix() != 1700000001 || got.AuthTime.Unix() != 1700000000 {
		t.Errorf("%+v", got)
	}
	for name, spoil := range map[string]func(*issuedPRT){
		"no PRT": func(a *issuedPRT) { a.prt = "" }, "PRT of other characters": func(a *issuedPRT) { a.prt = `1.A","x":"` },
		"endless PRT": func(a *issuedPRT) { a.prt = strings.Repeat("a", 20<<10) }, "no life": func(a *issuedPRT) { a.expiresIn = 0 },
		"endless life": func(a *issuedPRT) { a.expiresIn = 401 * 86400 }, "a life that overflows": func(a *issuedPRT) { a.expiresIn = 1 << 62 },
		"a key of other characters": func(a *issuedPRT) { a.wrapped = "a b" }, "no id_token": func(a *issuedPRT) { a.idToken = "" },
		"no tenant":      func(a *issuedPRT) { a.idToken = idToken(t, strings.Replace(whole, tenant, "common", 1)) },
		"no user":        func(a *issuedPRT) { a.idToken = idToken(t, strings.Replace(whole, alice, "alice", 1)) },
		"a name of none": func(a *issuedPRT) { a.idToken = idToken(t, strings.Replace(whole, "Alice@contoso.test", "alice", 1)) },
	} {
		a := good
		spoil(&a)
		if got, err := a.read(); prterr.KindOf(err) != prterr.Unavailable || !got.PRT.Empty() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if err := got.mustBe("33333333-3333-4333-8333-333333333333", ""); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("another tenant: %v", err)
	}
	if err := got.mustBe(tenant, "bob@contoso.test"); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("another user: %v", err)
	}
}

// TestWhatAStrangerSaysIsNotRepeated: kind, code and HRESULT stay, the words are ours.
func TestWhatAStrangerSaysIsNotRepeated(t *testing.T) {
	for name, from := range map[string]error{
		"with a code": prterr.AADSTS(aadsts.InvalidCredentials, "the password was hunter2").WithHRESULT(0x80070005),
		"without one": prterr.New(prterr.Denied, "hunter2"), "no error of ours": errors.New("hunter2"),
	} {
		err := Stranger("identity provider", from)
		var e *prterr.Error
		if !errors.As(err, &e) || strings.Contains(err.Error(), "hunter2") || e.Kind != prterr.KindOf(from) || e.Code != prterr.CodeOf(from) || e.HRESULT != prterr.HRESULTOf(from) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Stranger("x", nil); err != nil {
		t.Error(err)
	}
	if err := Spent(prterr.AADSTS(aadsts.FreshTokenNeeded, "")); prterr.KindOf(err) != prterr.Interaction || prterr.CodeOf(err) != aadsts.FreshTokenNeeded {
		t.Errorf("a spent PRT: %v", err)
	}
	if err := Spent(prterr.AADSTS(aadsts.UserDisabled, "")); prterr.KindOf(err) == prterr.Interaction {
		t.Errorf("a disabled user: %v", err)
	}
}

func TestKindsAtAPage(t *testing.T) {
	for want, whos := range map[string][]Identity{
		KindPassword:   {{Methods: []string{"password", "softwareOath"}}, {AMR: []string{"pwd", "mfa"}}, {AMR: []string{"fed"}}},
		KindHello:      {{Methods: []string{"windowsHelloForBusiness"}}},
		KindFIDO:       {{Methods: []string{"fido2"}}, {AMR: []string{"fido", "mfa"}}},
		KindSmartCard:  {{Methods: []string{"x509CertificateMultiFactor"}}, {AMR: []string{"x509"}}},
		KindAccessPass: {{Methods: []string{"temporaryAccessPassOneTime"}}, {AMR: []string{"tap"}}},
		KindWeb:        {{Methods: []string{"deviceBasedPush"}}, {AMR: []string{"rsa"}}, {}},
	} {
		for _, who := range whos {
			if got := KindAtPage(who); got != want {
				t.Errorf("%+v is %s, want %s", who, got, want)
			}
		}
	}
}
