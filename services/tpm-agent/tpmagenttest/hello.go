package tpmagenttest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

const (
	pin      = "135790"
	otherPIN = "246801"
	thirdPIN = "97531 a"
	// hresultWrongPIN is NTE_INCORRECT_PASSWORD.
	hresultWrongPIN = 0x80090033
)

// Hello is the agent's door for Hello keys.
func (a *Agent) Hello() tpmv1.HelloKeyServiceClient {
	return tpmv1.NewHelloKeyServiceClient(a.Dial("lsa-cloudap"))
}

// HelloUser is a user of the suite.
func HelloUser(user string) *tpmv1.HelloUser {
	return &tpmv1.HelloUser{TenantId: Partition(user).GetTenantId(), UserId: user}
}

// hello walks through the life of a Hello key: made, used, PIN changed, PIN reset,
// destroyed.
func (a *Agent) hello(t *testing.T, id Identity) {
	service, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&service.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.Hello().CreateHelloKey(t.Context(), &tpmv1.CreateHelloKeyRequest{User: HelloUser(UserA), Pin: pin, PinResetKey: spki})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("HEL03 the key is the TPM's", func(t *testing.T) { a.describedHello(t, made) })
	t.Run("HEL08 assertion", func(t *testing.T) { a.helloRequest(t, id, made) })
	t.Run("a PIN is verified", a.verifiedPIN)
	if _, err := a.Hello().CreateHelloKey(t.Context(), &tpmv1.CreateHelloKeyRequest{User: HelloUser(UserA), Pin: pin}); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a second key: %v", err)
	}
	t.Run("HEL10 PIN reset", func(t *testing.T) { a.resets(t, service, made) })
}

func (a *Agent) signHello(t *testing.T, user, pin string) (string, error) {
	r, err := a.Hello().SignHelloPRTRequest(t.Context(), &tpmv1.SignHelloPRTRequestRequest{
		User: HelloUser(user), UserPrincipalName: "alice@contoso.test", Pin: pin, RequestNonce: nonce,
	})
	return r.GetRequest(), err
}

func (a *Agent) describedHello(t *testing.T, made *tpmv1.CreateHelloKeyResponse) {
	d, err := a.Hello().DescribeHelloKey(t.Context(), &tpmv1.DescribeHelloKeyRequest{User: HelloUser(UserA)})
	if err != nil {
		t.Fatal(err)
	}
	if d.GetKeyId() != made.GetKeyId() || !d.GetFixedTpm() || !d.GetSensitiveDataOrigin() || !d.GetDictionaryAttackProtected() {
		t.Errorf("%v", d)
	}
	if d.GetCanReset() != tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_AND_NON_DESTRUCTIVE {
		t.Errorf("can reset: %v", d.GetCanReset())
	}
	none, err := a.Hello().DescribeHelloKey(t.Context(), &tpmv1.DescribeHelloKeyRequest{User: HelloUser(UserB)})
	if err != nil || none.GetKeyId() != "" || none.GetCanReset() != tpmv1.CanReset_CAN_RESET_NONE {
		t.Errorf("a user without a key: %v, %v", none, err)
	}
}

func (a *Agent) helloRequest(t *testing.T, id Identity, made *tpmv1.CreateHelloKeyResponse) {
	request, err := a.signHello(t, UserA, pin)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := jose.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	var c entrawire.PRTRequest
	if err := errors.Join(outer.VerifyRS256(id.DeviceKey), outer.Claims(&c), c.Validate()); err != nil {
		t.Fatal(err)
	}
	inner, err := jose.Parse(c.Assertion.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	public, err := entrawire.ParseRSA1(made.GetPublicKey())
	if err != nil {
		t.Fatal(err)
	}
	var assertion entrawire.HelloAssertion
	if err := errors.Join(entrawire.VerifyHello(inner, public), inner.Claims(&assertion), assertion.Validate()); err != nil {
		t.Fatal(err)
	}
	if c.GrantType != entrawire.GrantHello || c.RequestNonce != nonce || assertion.RequestNonce != nonce || assertion.Iss != "alice@contoso.test" {
		t.Errorf("request %+v, assertion %+v", c, assertion)
	}
	if outer.Header.KDFVer != a.kdfVer() {
		t.Errorf("kdf_ver %d", outer.Header.KDFVer)
	}
	if _, err := a.signHello(t, UserA, otherPIN); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("a wrong PIN: %v", err)
	}
	if _, err := a.signHello(t, UserB, pin); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("another user: %v", err)
	}
}

// verifiedPIN holds that the check of a PIN tells right from wrong as a signature
// does, counts in the same count, and leaves no session behind in the TPM.
func (a *Agent) verifiedPIN(t *testing.T) {
	verify := func(user, p string) error {
		_, err := a.Hello().VerifyHelloPIN(t.Context(), &tpmv1.VerifyHelloPINRequest{User: HelloUser(user), Pin: p})
		return err
	}
	wrong := func() uint32 {
		d, err := a.Hello().DescribeHelloKey(t.Context(), &tpmv1.DescribeHelloKeyRequest{User: HelloUser(UserA)})
		if err != nil {
			t.Fatal(err)
		}
		return d.GetWrongPins()
	}
	for range 8 { // more often than a TPM has room for sessions
		if err := verify(UserA, pin); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		err := verify(UserA, otherPIN)
		var named *prterr.Error
		if !errors.As(err, &named) || named.Kind != prterr.Unauthenticated || named.HRESULT != hresultWrongPIN {
			t.Errorf("a wrong PIN: %v", err)
		}
		if n := wrong(); n != uint32(i+1) {
			t.Errorf("%d wrong PINs were counted, want %d", n, i+1)
		}
	}
	if err := verify(UserA, pin); err != nil || wrong() != 0 {
		t.Errorf("the right PIN: %v; %d wrong PINs are left", err, wrong())
	}
	if err := verify(UserB, pin); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("another user: %v", err)
	}
	if err := verify(UserA, "12345"); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("a PIN that is too short: %v", err)
	}
	if _, err := a.signHello(t, UserA, pin); err != nil {
		t.Errorf("a signature afterwards: %v", err)
	}
}

// resets changes the PIN, resets it without knowing it, and at last destroys the
// key, as a destructive reset does.
func (a *Agent) resets(t *testing.T, service *rsa.PrivateKey, made *tpmv1.CreateHelloKeyResponse) {
	works := func(want string, not ...string) {
		t.Helper()
		for _, p := range not {
			if _, err := a.signHello(t, UserA, p); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("%q: %v", p, err)
			}
		}
		if _, err := a.signHello(t, UserA, want); err != nil {
			t.Errorf("%q: %v", want, err)
		}
	}
	if _, err := a.Hello().ChangeHelloPIN(t.Context(), &tpmv1.ChangeHelloPINRequest{User: HelloUser(UserA), Pin: pin, NewPin: otherPIN}); err != nil {
		t.Fatal(err)
	}
	works(otherPIN, pin)
	reset, err := rsa.DecryptOAEP(sha256.New(), nil, service, made.GetWrappedResetSecret(), []byte(made.GetKeyId()))
	if err != nil {
		t.Fatal(err)
	}
	wrong := append([]byte(nil), reset...)
	wrong[0] ^= 1
	if _, err := a.Hello().ResetHelloPIN(t.Context(), &tpmv1.ResetHelloPINRequest{User: HelloUser(UserA), ResetSecret: wrong, NewPin: thirdPIN}); prterr.KindOf(err) != prterr.Denied {
		t.Errorf("a wrong reset secret: %v", err)
	}
	works(otherPIN, thirdPIN)
	if _, err := a.Hello().ResetHelloPIN(t.Context(), &tpmv1.ResetHelloPINRequest{User: HelloUser(UserA), ResetSecret: reset, NewPin: thirdPIN}); err != nil {
		t.Fatal(err)
	}
	works(thirdPIN, otherPIN)
	if _, err := a.Hello().DeleteHelloKey(t.Context(), &tpmv1.DeleteHelloKeyRequest{User: HelloUser(UserA)}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.signHello(t, UserA, thirdPIN); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("after the destructive reset: %v", err)
	}
	again, err := a.Hello().CreateHelloKey(t.Context(), &tpmv1.CreateHelloKeyRequest{User: HelloUser(UserA), Pin: pin})
	if err != nil || again.GetKeyId() == made.GetKeyId() || len(again.GetWrappedResetSecret()) != 0 {
		t.Fatalf("%v, %v", again, err)
	}
	d, err := a.Hello().DescribeHelloKey(t.Context(), &tpmv1.DescribeHelloKeyRequest{User: HelloUser(UserA)})
	if err != nil || d.GetCanReset() != tpmv1.CanReset_CAN_RESET_DESTRUCTIVE_ONLY {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := a.Hello().ResetHelloPIN(t.Context(), &tpmv1.ResetHelloPINRequest{User: HelloUser(UserA), ResetSecret: reset, NewPin: thirdPIN}); prterr.KindOf(err) != prterr.Conflict {
		t.Errorf("a reset without the service: %v", err)
	}
	works(pin, thirdPIN)
}
