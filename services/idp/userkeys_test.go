package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// methodsOf lists what a user has.
func (w *world) methodsOf(t testing.TB, upn string) []*directoryv1.UserMethod {
	t.Helper()
	a, err := w.read.ListUserMethods(context.Background(), &directoryv1.ListUserMethodsRequest{UserPrincipalName: upn})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetMethods()
}

// written has an administrator write a Hello key into the directory.
func (w *world) written(t testing.TB, d *device, upn string, key int, device string) (*hello, string) {
	t.Helper()
	h := &hello{d: d, upn: upn, key: rsaKeys()[key]}
	a, err := w.admin.PutHelloKey(context.Background(), &directoryv1.PutHelloKeyRequest{UserPrincipalName: upn, Key: rsa1(t, h.key), DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	return h, a.GetMethodId()
}

// TestA17_AKeyThatWasWrittenIntoTheDirectory: it leaves a row, its user hears of it,
// it says where it came from, and strict takes it nowhere.
func TestA17_AKeyThatWasWrittenIntoTheDirectory(t *testing.T) {
	for profile, want := range map[string]aadsts.Code{"2020": 0, "today": 0, "strict": aadsts.InvalidAssertion} {
		t.Run(profile, func(t *testing.T) {
			p := newPages(t, idp.Config{Tenants: withProfile(profile)})
			d := p.join(t, alice, alicePassword, 1, 2)
			mine := d.provision(t, alice, 3, time.Now())
			h, id := p.written(t, d, alice, 4, d.id)
			if e := lastEvent(p.world); e.Flow != signinlog.WriteHelloKey || e.User != alice || e.Outcome != signinlog.Success || !strings.Contains(e.Hidden, "by an operator") {
				t.Errorf("%+v", e)
			}
			wantCode(t, h.signInWith(t, d, time.Now(), nil), want)
			if err := mine.signInWith(t, d, time.Now(), nil); err != nil {
				t.Errorf("the key that the device registered: %v", err)
			}
			var got []string
			for _, m := range p.methodsOf(t, alice) {
				got = append(got, m.GetKind()+" "+m.GetProvenance()+" "+m.GetDeviceId())
				if m.GetProvenance() == "administrator" && m.GetMethodId() != id {
					t.Errorf("%v", m)
				}
			}
			if !slices.Equal(got, []string{"windowsHelloForBusiness registered " + d.id, "windowsHelloForBusiness administrator " + d.id}) {
				t.Errorf("%v", got)
			}
			if m := p.messages(t, alice); len(m) != 2 || m[1].GetChannel() != "notice" || !strings.Contains(m[1].GetText(), "was added to your account") {
				t.Errorf("%v", m)
			}
			_, err := p.admin.PutHelloKey(context.Background(), &directoryv1.PutHelloKeyRequest{UserPrincipalName: alice, Key: rsa1(t, rsaKeys()[4])})
			wantKind(t, err, prterr.Conflict)
			if e := lastEvent(p.world); e.Flow != signinlog.WriteHelloKey || e.Outcome != signinlog.Refused {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestHEL11_AnAdministratorRemovesAKey: the next sign-in with it is refused, the
// password works still, and so does the key of another device.
func TestHEL11_AnAdministratorRemovesAKey(t *testing.T) {
	p := newPages(t, idp.Config{})
	d, second := p.join(t, alice, alicePassword, 1, 2), p.join(t, alice, alicePassword, 3, 4)
	h, other := d.provision(t, alice, 5, time.Now()), second.provision(t, alice, 0, time.Now())
	if err := h.signInWith(t, d, time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	remove := func(upn, id string) error {
		_, err := p.admin.RemoveUserMethod(context.Background(), &directoryv1.RemoveUserMethodRequest{UserPrincipalName: upn, MethodId: id})
		return err
	}
	all := p.methodsOf(t, alice)
	if len(all) != 2 || all[0].GetDeviceId() != d.id {
		t.Fatalf("%v", all)
	}
	wantKind(t, remove(bob, all[0].GetMethodId()), prterr.NotFound)
	wantKind(t, remove(alice, ""), prterr.Invalid)
	if err := remove(alice, all[0].GetMethodId()); err != nil {
		t.Fatal(err)
	}
	if e := lastEvent(p.world); e.Flow != signinlog.RemoveMethod || e.User != alice || e.Outcome != signinlog.Success {
		t.Errorf("%+v", e)
	}
	wantKind(t, remove(alice, all[0].GetMethodId()), prterr.NotFound)
	wantCode(t, h.signInWith(t, d, time.Now(), nil), aadsts.KeyNotFound)
	if err := other.signInWith(t, second, time.Now(), nil); err != nil {
		t.Errorf("the key of another device: %v", err)
	}
	d.first(t, alice, alicePassword)
}

// TestA16_HEL06_AKeyNeedsAFreshFactorAndADevice: nine minutes are taken and eleven are
// not; a token without a device has the error that clients know; the user is told.
func TestA16_HEL06_AKeyNeedsAFreshFactorAndADevice(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	d := p.join(t, alice, alicePassword, 1, 2)
	register := func(token string) error {
		_, err := p.foreign(t).devices.RegisterHelloKey(context.Background(), &idpv1.RegisterHelloKeyRequest{AccessToken: token, Key: rsa1(t, rsaKeys()[3])})
		return err
	}
	wantKind(t, register(p.registrationToken(t, alice, d.id, lab.Now().Add(-11*time.Minute), nil)), prterr.Denied)
	wantKind(t, register(p.registrationToken(t, alice, d.id, lab.Now(), claims{"amr": []string{"pwd", "mfa"}})), prterr.Denied)
	err := register(p.registrationToken(t, alice, "", lab.Now(), nil))
	if prterr.KindOf(err) != prterr.Denied || !strings.Contains(err.Error(), "0x801c044d") {
		t.Errorf("%v", err)
	}
	if len(p.methodsOf(t, alice)) != 0 || len(p.messages(t, alice)) != 0 {
		t.Error("a refused key left something behind")
	}
	if err := register(p.registrationToken(t, alice, d.id, lab.Now().Add(-9*time.Minute), nil)); err != nil {
		t.Fatal(err)
	}
	if e := lastEvent(p.world); e.Flow != signinlog.RegisterHello || e.User != alice || string(e.Device) != d.id || e.Outcome != signinlog.Success {
		t.Errorf("%+v", e)
	}
	if m := p.messages(t, alice); len(m) != 1 || m[0].GetChannel() != "notice" {
		t.Errorf("%v", m)
	}
}

// TestMFA13_AFactorIsFreshForTenMinutes: a token for device registration says ngcmfa
// within ten minutes of the factor, and a minute later nothing but the page gets one.
func TestMFA13_AFactorIsFreshForTenMinutes(t *testing.T) {
	lab := clock.NewLab()
	p := newPages(t, idp.Config{Clock: lab})
	ask := func(cookie string) *idpv1.AuthorizeRequest {
		return &idpv1.AuthorizeRequest{
			ClientId: entrawire.BrokerClientID, RedirectUri: native + "DRS", Resource: entrawire.RegistrationResource, AmrValues: "ngcmfa", SessionCookie: cookie,
		}
	}
	page := p.factor(t, ask(""))
	b := p.begin(t, page, push)
	p.answer(t, mia, true, b.GetEntropy())
	next := p.complete(t, p.check(t, b.GetFlowToken(), push, "", "").GetFlowToken(), page.GetCanary())
	cookie := next.GetSignedIn().GetSessionCookie()
	amr := func(s *idpv1.SignedIn) []string {
		a := p.redeemCode(t, s, entrawire.BrokerClientID, func(r *idpv1.RequestTokensRequest, _ *idpv1.AuthorizationCodeGrant) {
			r.Resource = entrawire.RegistrationResource
		})
		token, ok := p.svc.Authority().ReadAccessToken(secretText(a.GetTokens().GetAccessToken()))
		if !ok {
			t.Fatal("no access token")
		}
		return token.From.AMR
	}
	lab.Advance(9 * time.Minute)
	_, at9 := p.silent(t, ask(cookie))
	_, late := p.silent(t, ask(cookie))
	if got := amr(at9); !slices.Contains(got, "ngcmfa") {
		t.Errorf("at nine minutes: %v", got)
	}
	lab.Advance(2 * time.Minute)
	if got := amr(late); slices.Contains(got, "ngcmfa") || !slices.Contains(got, "mfa") {
		t.Errorf("a code from before makes a token at eleven minutes: %v", got)
	}
	p.page(t, ask(cookie), factorPage, 0)
}

// TestHEL05_A18_OneUserOneDevice: the rule for a key on another device than its own,
// in three profiles, is TestAttack15_KeyOfAnotherDevice; here is the other half, that
// the key is of one user.
func TestHEL05_A18_OneUserOneDevice(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: withProfile("strict")})
	home, away := w.join(t, alice, alicePassword, 1, 2), w.join(t, bob, bobPassword, 3, 4)
	h := home.provision(t, alice, 5, time.Now())
	if err := h.signInWith(t, home, time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	wantCode(t, h.signInWith(t, away, time.Now(), nil), aadsts.InvalidAssertion)
	n := w.nonce(t)
	_, err := w.requestPRT(away.sign(t, h.request(t, n, h.assertion(t, time.Now(), n, nil))))
	if err == nil {
		t.Error("a key signs in on another device")
	}
	wantCode(t, h.signInWith(t, home, time.Now(), claims{"iss": bob}), aadsts.KeyNotFound)
}

// TestA19_HEL12_ABorrowedAssertion: one that a remote session let out is worth nothing
// once its nonce is old, a second time, or on the borrower's device.
func TestA19_HEL12_ABorrowedAssertion(t *testing.T) {
	lab := clock.NewLab()
	w := newWorld(t, idp.Config{Clock: lab})
	home, away := w.join(t, alice, alicePassword, 1, 2), w.join(t, alice, alicePassword, 3, 4)
	h := home.provision(t, alice, 5, lab.Now())
	borrowed := func() string { return h.assertion(t, lab.Now(), w.nonce(t), nil) }
	use := func(d *device, assertion string) error {
		_, err := w.requestPRT(d.sign(t, h.request(t, w.nonce(t), assertion)))
		return err
	}
	stale := borrowed()
	lab.Advance(301 * time.Second)
	wantCode(t, use(home, stale), aadsts.InvalidNonce)
	wantCode(t, use(away, borrowed()), aadsts.InvalidAssertion)
	once := borrowed()
	if err := use(home, once); err != nil {
		t.Fatal(err)
	}
	wantCode(t, use(home, once), aadsts.InvalidNonce)
	wantCode(t, use(away, once), aadsts.InvalidNonce)
}

// resetWorld is a device with Alice's Hello key and a token for the PIN reset.
type resetWorld struct {
	*pages
	lab     *clock.Lab
	d       *device
	kid     string
	service *rsa.PublicKey
	client  idpv1.PINResetServiceClient
}

func newResetWorld(t testing.TB) *resetWorld {
	t.Helper()
	lab := clock.NewLab()
	r := &resetWorld{pages: newPages(t, idp.Config{Clock: lab}), lab: lab}
	r.client = idpv1.NewPINResetServiceClient(connect(t, r.svc, "lsa-cloudap"))
	r.d = r.join(t, mia, miaPassword, 1, 2)
	h := r.d.provision(t, mia, 3, lab.Now())
	var err error
	if r.kid, err = entrawire.HelloKeyID(&h.key.PublicKey); err != nil {
		t.Fatal(err)
	}
	a, err := r.client.DescribePINReset(context.Background(), &idpv1.DescribePINResetRequest{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(a.GetKey())
	if err != nil {
		t.Fatal(err)
	}
	r.service = key.(*rsa.PublicKey)
	if r.service.N.BitLen() != 2048 {
		t.Errorf("%d bits", r.service.N.BitLen())
	}
	return r
}

func (r *resetWorld) wrap(t testing.TB, name string) []byte {
	t.Helper()
	out, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, r.service, []byte("a secret of a TPM, 32 bytes long"), []byte(name))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// token signs Mia in at a page, on her device, as a PIN reset does.
func (r *resetWorld) token(t testing.TB, change func(*idpv1.AuthorizeRequest)) string {
	t.Helper()
	s := r.d.first(t, mia, miaPassword)
	n := r.nonce(t)
	ask := &idpv1.AuthorizeRequest{
		ClientId: "9115dd05-fad5-4f9c-acc7-305d08b1b04e", RedirectUri: native + "DRS", Resource: "https://cred.microsoft.com", AmrValues: "ngcmfa",
		SsoNonce: n, RefreshTokenCredential: s.sign(t, s.cookie(n)),
	}
	if change != nil {
		change(ask)
	}
	client := ask.ClientId
	var page *idpv1.SignInPage
	if ask.RefreshTokenCredential == "" {
		page = r.factor(t, ask)
	} else {
		page = r.page(t, ask, factorPage, 0)
	}
	b := r.begin(t, page, push)
	r.answer(t, mia, true, b.GetEntropy())
	next := r.complete(t, r.check(t, b.GetFlowToken(), push, "", "").GetFlowToken(), page.GetCanary())
	a := r.redeemCode(t, next.GetSignedIn(), client, func(q *idpv1.RequestTokensRequest, _ *idpv1.AuthorizationCodeGrant) { q.Resource = ask.Resource })
	if a.GetTokens().GetAccessToken() == "" {
		t.Fatalf("%v", a)
	}
	return a.GetTokens().GetAccessToken()
}

func (r *resetWorld) open(token, kid string, wrapped []byte) (string, error) {
	a, err := r.client.OpenResetSecret(context.Background(), &idpv1.OpenResetSecretRequest{AccessToken: token, KeyId: kid, WrappedResetSecret: wrapped})
	return string(a.GetResetSecret()), err
}

// TestHEL10_ThePINResetService opens the secret of a key for the user whose key it
// is, on the device that has it, with a fresh second factor; for everything else there
// is one text, and the log says which it was.
func TestHEL10_ThePINResetService(t *testing.T) {
	r := newResetWorld(t)
	good, wrapped := r.token(t, nil), r.wrap(t, r.kid)
	if got, err := r.open(good, r.kid, wrapped); err != nil || got != "a secret of a TPM, 32 bytes long" {
		t.Fatalf("%q, %v", got, err)
	}
	if e := lastEvent(r.world); e.Flow != signinlog.ResetPIN || e.User != mia || string(e.Device) != r.d.id || e.Outcome != signinlog.Success {
		t.Errorf("%+v", e)
	}
	bobs := r.join(t, bob, bobPassword, 4, 5).provision(t, bob, 0, r.lab.Now())
	bobKid, _ := entrawire.HelloKeyID(&bobs.key.PublicKey)
	_, _ = r.written(t, r.d, mia, 1, r.d.id)
	writtenKid, _ := entrawire.HelloKeyID(&rsaKeys()[1].PublicKey)
	flipped := slices.Clone(wrapped)
	flipped[9] ^= 1
	var text string
	refused := func(name, token, kid string, wrapped []byte, why string) {
		t.Run(name, func(t *testing.T) {
			got, err := r.open(token, kid, wrapped)
			wantKind(t, err, prterr.Denied)
			if got != "" || text != "" && err.Error() != text {
				t.Errorf("%q, %v", got, err)
			}
			if e := lastEvent(r.world); e.Flow != signinlog.ResetPIN || e.Outcome != signinlog.Refused || !strings.Contains(e.Hidden, why) {
				t.Errorf("%+v", e)
			}
			if err != nil {
				text = err.Error()
			}
		})
	}
	refused("no token", "", r.kid, wrapped, "not one of ours")
	refused("another resource", r.token(t, func(a *idpv1.AuthorizeRequest) { a.Resource = graph }), r.kid, wrapped, "another resource")
	refused("another application's token", r.token(t, func(a *idpv1.AuthorizeRequest) { a.ClientId, a.RedirectUri = cli, localhost }), r.kid, wrapped, "another application")
	refused("no device", r.token(t, func(a *idpv1.AuthorizeRequest) { a.RefreshTokenCredential, a.SsoNonce = "", "" }), r.kid, wrapped, "no device")
	refused("another user's key", good, bobKid, r.wrap(t, bobKid), "no such key")
	refused("the secret of another user's key under the own name", good, r.kid, r.wrap(t, bobKid), "does not open")
	refused("no key", good, "", r.wrap(t, ""), "no such key")
	refused("a key that was written into the directory", good, writtenKid, r.wrap(t, writtenKid), "no such key")
	refused("changed", good, r.kid, flipped, "does not open")
	refused("too long", good, r.kid, make([]byte, 100_000), "does not open")
	setDevice(t, r.world, r.d.id, false)
	refused("a disabled device", good, r.kid, wrapped, "does not stand")
	setDevice(t, r.world, r.d.id, true)
	r.lab.Advance(11 * time.Minute)
	refused("eleven minutes later", good, r.kid, wrapped, "ten minutes")
	fresh := r.token(t, nil)
	if _, err := r.open(fresh, r.kid, wrapped); err != nil {
		t.Error(err)
	}
	_, err := r.admin.RevokeSessions(context.Background(), &directoryv1.RevokeSessionsRequest{UserPrincipalName: mia})
	if err != nil {
		t.Fatal(err)
	}
	refused("revoked", fresh, r.kid, wrapped, "revoked")
	last := r.token(t, nil)
	// A destructive reset: another key takes the place of the old one, which is dead.
	old := &hello{d: r.d, upn: mia, key: rsaKeys()[3]}
	r.d.provision(t, mia, 2, r.lab.Now())
	wantCode(t, old.signInWith(t, r.d, r.lab.Now(), nil), aadsts.KeyNotFound)
	refused("the key is no more", last, r.kid, wrapped, "no such key")
}
