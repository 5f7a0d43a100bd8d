package idp_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

func TestISS02_RealmDiscovery(t *testing.T) {
	w := newWorld(t, idp.Config{})
	for upn, want := range map[string]idpv1.AccountType{
		alice:                 idpv1.AccountType_ACCOUNT_TYPE_MANAGED,
		"nobody@ConToso.TEST": idpv1.AccountType_ACCOUNT_TYPE_MANAGED,
		carol:                 idpv1.AccountType_ACCOUNT_TYPE_FEDERATED,
		"x@nowhere.test":      idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN,
	} {
		a, err := w.realm.DiscoverRealm(context.Background(), &idpv1.DiscoverRealmRequest{UserPrincipalName: upn})
		if err != nil || a.GetAccountType() != want {
			t.Errorf("%s: %v, %v", upn, a, err)
		}
		if mex := a.GetFederationMetadataUrl(); (want == idpv1.AccountType_ACCOUNT_TYPE_FEDERATED) != (mex == "https://sts.adatum.test/adfs/services/trust/mex") {
			t.Errorf("%s: metadata at %q", upn, mex)
		}
	}
	if _, err := w.realm.DiscoverRealm(context.Background(), &idpv1.DiscoverRealmRequest{UserPrincipalName: "alice"}); err == nil {
		t.Error("a name without a domain was taken")
	}
}

func TestISS03_NonceIsNeeded(t *testing.T) {
	lab := clock.NewLab()
	w, other := newWorld(t, idp.Config{Clock: lab, Tenants: withProfile("strict")}), newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	used, old := d.claims(t, alice, alicePassword), w.nonce(t)
	d.open(t, d.sign(t, used))
	lab.Advance(301 * time.Second)
	for name, nonce := range map[string]string{
		"missing": "", "foreign": other.nonce(t), "reused": used.RequestNonce, "expired": old,
		"malformed": "not a nonce", "cut": w.nonce(t)[:60], "padded": w.nonce(t) + "=", "broken line": w.nonce(t) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			w.unchanged(t, func() {
				c := d.claims(t, alice, alicePassword)
				c.RequestNonce = nonce
				_, err := w.requestPRT(d.sign(t, c))
				wantCode(t, err, aadsts.InvalidNonce)
			})
		})
	}
}

func TestISS05_RequestMustAskForAPRT(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	for name, f := range map[string]struct {
		change func(*entrawire.PRTRequest)
		code   aadsts.Code
	}{
		"scope without aza": {func(c *entrawire.PRTRequest) { c.Scope = "openid" }, aadsts.InvalidRequest},
		"no password":       {func(c *entrawire.PRTRequest) { c.Password = secret.Text{} }, aadsts.MissingParameter},
		"unknown grant":     {func(c *entrawire.PRTRequest) { c.GrantType = "magic" }, aadsts.InvalidRequest},
		"grant not served here": {func(c *entrawire.PRTRequest) {
			c.GrantType, c.Assertion, c.Password = entrawire.GrantSAML2, c.Password, secret.Text{}
		}, aadsts.UnsupportedGrantType},
		"app's client id":     {func(c *entrawire.PRTRequest) { c.ClientID = office }, aadsts.InvalidGrant},
		"unknown client id":   {func(c *entrawire.PRTRequest) { c.ClientID = contoso }, aadsts.ApplicationNotFound},
		"name without domain": {func(c *entrawire.PRTRequest) { c.Username = "alice" }, aadsts.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c := d.claims(t, alice, alicePassword)
			f.change(&c)
			_, err := w.requestPRT(d.sign(t, c))
			wantCode(t, err, f.code)
		})
	}
}

func TestISS06_SingleFaults(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	var texts []string
	_, err := w.requestPRT(d.sign(t, d.claims(t, "nobody@contoso.test", alicePassword)))
	wantCode(t, err, aadsts.UserAccountNotFound)
	for _, c := range []entrawire.PRTRequest{d.claims(t, alice, "wrong"), d.claims(t, "x@nowhere.test", "y")} {
		w.unchanged(t, func() {
			a, err := w.requestPRT(d.sign(t, c))
			wantCode(t, err, aadsts.InvalidCredentials)
			if a != nil {
				t.Error("an answer came with the refusal")
			}
			texts = append(texts, err.Error())
		})
	}
	if texts[0] != texts[1] {
		t.Errorf("wrong password and unknown domain differ: %q", texts)
	}
	c := d.claims(t, alice, alicePassword)
	c.RequestNonce = ""
	_, err = w.requestPRT(d.sign(t, c))
	wantCode(t, err, aadsts.InvalidNonce)

	setDevice(t, w, d.id, false)
	_, err = w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.DeviceDisabled)
	setDevice(t, w, d.id, true)

	setUser(t, w, alice, false)
	_, err = w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.UserDisabled)
	_, err = w.requestPRT(d.sign(t, d.claims(t, alice, "wrong")))
	wantCode(t, err, aadsts.InvalidCredentials) // only who knows the password learns the state
	setUser(t, w, alice, true)
	d.first(t, alice, alicePassword)
}

func TestISS07_Attack07_DeviceSignature(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	h := jose.Header{Typ: "JWT", KDFVer: 2, X5C: [][]byte{d.cert}}
	_, err := w.requestPRT(d.signAs(t, h, d.tk, encoded(t, d.claims(t, alice, alicePassword))))
	wantCode(t, err, aadsts.InvalidGrant)
	other := w.join(t, alice, alicePassword, 3, 4) // another device, whose key names this one, and the other way round
	w.unchanged(t, func() {
		_, err := w.requestPRT(d.signAs(t, h, other.dk, encoded(t, d.claims(t, alice, alicePassword))))
		wantCode(t, err, aadsts.InvalidGrant)
		_, err = w.requestPRT(d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{other.cert}}, d.dk, encoded(t, d.claims(t, alice, alicePassword))))
		wantCode(t, err, aadsts.InvalidGrant)
	})
	good := d.sign(t, d.claims(t, alice, alicePassword))
	for _, at := range []int{0, 100, 255} {
		w.unchanged(t, func() {
			_, err := w.requestPRT(flipSignature(t, good, at))
			wantCode(t, err, aadsts.InvalidGrant)
		})
	}
	d.open(t, good) // the refused copies used nothing up
}

func TestISS08_A32_Attack08_UnregisteredDevice(t *testing.T) {
	w, other := newWorld(t, idp.Config{}), newWorld(t, idp.Config{})
	d, foreign := w.join(t, alice, alicePassword, 1, 2), other.join(t, alice, alicePassword, 1, 2)
	w.unchanged(t, func() {
		h := jose.Header{Typ: "JWT", X5C: [][]byte{selfSigned(t, d)}}
		_, err := w.requestPRT(d.signAs(t, h, d.dk, encoded(t, d.claims(t, alice, alicePassword))))
		wantCode(t, err, aadsts.DeviceAuthenticationFailed) // A32: x5c says what it likes
		h.X5C = [][]byte{foreign.cert}
		_, err = w.requestPRT(d.signAs(t, h, d.dk, encoded(t, d.claims(t, alice, alicePassword))))
		wantCode(t, err, aadsts.DeviceAuthenticationFailed)
		h.X5C = nil
		_, err = w.requestPRT(d.signAs(t, h, d.dk, encoded(t, d.claims(t, alice, alicePassword))))
		wantCode(t, err, aadsts.DeviceInformationNotPresent)
	})
	removeDevice(t, w, d.id)
	_, err := w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
	wantCode(t, err, aadsts.DeviceAuthenticationFailed)
}

func TestISS09_AnyChangeOfThePRTIsRefused(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	if strings.Contains(s.prt, "alice") || !entrawire.IsOpaque(s.prt) || !strings.Contains(s.prt, ".") {
		t.Errorf("PRT is not an opaque value: %s", s.prt)
	}
	broken := *s
	for i := range len(s.prt) {
		c := byte('A')
		if s.prt[i] == 'A' {
			c = 'B'
		}
		broken.prt = s.prt[:i] + string(c) + s.prt[i+1:]
		wantCode(t, broken.use(t), aadsts.InvalidGrant)
	}
	for _, text := range []string{s.prt + ".", s.prt + "A", s.prt[:len(s.prt)-1], "1..", "garbage", strings.Repeat("A", 5000)} {
		broken.prt = text
		wantCode(t, broken.use(t), aadsts.InvalidGrant)
	}
	if err := s.use(t); err != nil {
		t.Error(err)
	}
}

func TestISS11_SessionKeysAreFresh(t *testing.T) {
	const n = 100_000
	seen := make(map[[32]byte]bool, n)
	for range n {
		k := issuance.NewSessionKey()
		if k.Len() != 32 {
			t.Fatalf("%d bytes", k.Len())
		}
		seen[[32]byte(k.Reveal())] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d are distinct", len(seen), n)
	}
}

func TestISS12_SessionKeyOnTheDeviceAndInThePRT(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	a, err := w.svc.Authority().Open(sealed.PRT, secret.NewText(s.prt))
	if err != nil {
		t.Fatal(err)
	}
	if !a.SessionKey.Equal(s.key) {
		t.Error("the key in the PRT is not the one on the device")
	}
	if string(a.Device) != d.id || a.Certificate != sha256.Sum256(d.cert) || a.KDFMin != 2 || string(a.Tenant) != contoso {
		t.Errorf("PRT binds device %s, kdf_min %d, tenant %s", a.Device, a.KDFMin, a.Tenant)
	}
	if again := d.first(t, alice, alicePassword); again.key.Equal(s.key) || bytes.Equal([]byte(again.prt), []byte(s.prt)) {
		t.Error("two sign-ins got one key or one PRT")
	}
}

func TestISS21_PRTLivesFourteenDays(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	d := w.join(t, alice, alicePassword, 1, 2)
	a, err := w.requestPRT(d.sign(t, d.claims(t, alice, alicePassword)))
	if err != nil || a.GetRefreshTokenExpiresIn() != 1209599 || a.GetExpiresIn() != 1209599 || a.GetTokenType() != "Bearer" {
		t.Fatalf("%v, %v", a, err)
	}
	if e := w.last(t, signinlog.IssuePRT); len(e.Methods) != 1 || e.Methods[0].Name != "password" || !e.Methods[0].At.Equal(lab.Now().Truncate(time.Second)) || e.MultiFactor {
		t.Errorf("%+v", e.Detail)
	}
	s := d.first(t, alice, alicePassword)
	lab.Advance(14*24*time.Hour - time.Minute)
	if err := s.use(t); err != nil {
		t.Errorf("a minute before its end: %v", err)
	}
	next, _ := s.renew(t, s.renewal(t))
	lab.Advance(time.Minute + time.Second)
	wantCode(t, s.use(t), aadsts.ExpiredToken)
	if err := next.use(t); err != nil {
		t.Errorf("the renewed PRT: %v", err)
	}
}
