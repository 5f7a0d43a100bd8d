package passkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey/passkeytest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const host, origin = "login.microsoftonline.com", "https://login.microsoftonline.com"

type room struct {
	*passkey.Service
	lab  *clock.Lab
	user store.User
	auth *passkeytest.Authenticator
}

// newRoom has a user with one passkey.
func newRoom(t testing.TB) *room {
	t.Helper()
	lab := clock.NewLab()
	r := &room{Service: passkey.New(passkey.Config{Clock: lab}), lab: lab, auth: &passkeytest.Authenticator{}}
	r.user = store.User{ID: ids.NewUser(), Tenant: ids.NewTenant(), UPN: "ada@contoso.test", DisplayName: "Ada"}
	k, err := r.register(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.user.Passkeys = append(r.user.Passkeys, k)
	return r
}

func (r *room) register(t testing.TB, lie func(*passkeytest.Claim)) (store.Passkey, error) {
	t.Helper()
	options, c, err := r.BeginRegistration(host, r.user)
	if err != nil {
		t.Fatal(err)
	}
	r.auth.Lie = lie
	defer func() { r.auth.Lie = nil }()
	credential, err := r.auth.Create(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return r.Register(c, r.user, "My key", []byte(credential))
}

func (r *room) get(t testing.TB, lie func(*passkeytest.Claim)) (passkey.Challenge, passkey.Answer) {
	t.Helper()
	options, c, err := r.Begin(host, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.auth.Lie = lie
	defer func() { r.auth.Lie = nil }()
	credential, err := r.auth.Get(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	a, err := passkey.Read([]byte(credential))
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

func TestARegisteredPasskeySignsIn(t *testing.T) {
	r := newRoom(t)
	k := r.user.Passkeys[0]
	if k.Site != host || k.Name != "My key" || k.Attestation != "none" || !bytes.Equal(k.AAGUID, []byte("lockstep-testing")) || k.Added.IsZero() || len(k.Transports) != 1 {
		t.Errorf("%+v", k)
	}
	c, a := r.get(t, nil)
	if tenant, id, ok := passkey.Owner(a.Handle()); !ok || tenant != r.user.Tenant || id != r.user.ID {
		t.Errorf("%v %v %v", tenant, id, ok)
	}
	got, err := r.Verify(c, r.user, a)
	if err != nil || got.SignCount != 1 || got.Used.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	// As the second step its own passkeys are listed.
	options, _, err := r.Begin(host, &r.user)
	if err != nil || !strings.Contains(options, passkey.KeyID(k)) || !strings.Contains(options, `"userVerification":"required"`) {
		t.Errorf("%s, %v", options, err)
	}
}

// An authenticator that does not count says 0 always.
func TestAnAuthenticatorMayNotCount(t *testing.T) {
	r := newRoom(t)
	for range 2 {
		c, a := r.get(t, func(c *passkeytest.Claim) { c.Count = 0 })
		if _, err := r.Verify(c, r.user, a); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAttackPasskeyAnswersThatAreRefused(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(*passkeytest.Claim){
		"wrong origin":          func(c *passkeytest.Claim) { c.Origin = "https://login.microsoftonline.com.evil.test" },
		"another port":          func(c *passkeytest.Claim) { c.Origin = origin + ":8443" },
		"plain http":            func(c *passkeytest.Claim) { c.Origin = "http://" + host },
		"a site inside ours":    func(c *passkeytest.Claim) { c.CrossOrigin = true },
		"wrong relying party":   func(c *passkeytest.Claim) { c.Site = "evil.test" },
		"another challenge":     func(c *passkeytest.Claim) { c.Challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
		"a registration":        func(c *passkeytest.Claim) { c.Type = "webauthn.create" },
		"user not verified":     func(c *passkeytest.Claim) { c.Flags &^= passkeytest.UV },
		"user not present":      func(c *passkeytest.Claim) { c.Flags &^= passkeytest.UP },
		"backed up of a sudden": func(c *passkeytest.Claim) { c.Flags |= passkeytest.BE | passkeytest.BS },
		"another key":           func(c *passkeytest.Claim) { c.Key = stranger },
		"an unknown passkey":    func(c *passkeytest.Claim) { c.ID = []byte("no such passkey") },
		"counter stands still":  func(c *passkeytest.Claim) { c.Count = 5 },
		"counter goes back":     func(c *passkeytest.Claim) { c.Count = 4 },
		"counter is lost":       func(c *passkeytest.Claim) { c.Count = 0 },
		"another user's handle": func(c *passkeytest.Claim) { c.Handle = passkey.Handle(ids.NewTenant(), ids.NewUser()) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.user.Passkeys[0].SignCount, r.auth.Keys[0].Count = 5, 5
			c, a := r.get(t, lie)
			if got, err := r.Verify(c, r.user, a); !errors.Is(err, passkey.ErrAnswer) {
				t.Errorf("%+v, %v", got, err)
			}
			c, a = r.get(t, nil)
			if _, err := r.Verify(c, r.user, a); err != nil {
				t.Errorf("an honest answer after it: %v", err)
			}
		})
	}
}

func TestAttackPasskeyRegistrationsThatAreRefused(t *testing.T) {
	for name, lie := range map[string]func(*passkeytest.Claim){
		"wrong origin":            func(c *passkeytest.Claim) { c.Origin = "https://evil.test" },
		"wrong relying party":     func(c *passkeytest.Claim) { c.Site = "evil.test" },
		"another challenge":       func(c *passkeytest.Claim) { c.Challenge = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
		"a sign-in":               func(c *passkeytest.Claim) { c.Type = "webauthn.get" },
		"user not verified":       func(c *passkeytest.Claim) { c.Flags &^= passkeytest.UV },
		"a statement of none":     func(c *passkeytest.Claim) { c.Format = "packed" },
		"backed up and cannot be": func(c *passkeytest.Claim) { c.Flags |= passkeytest.BS },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.auth.Keys = nil
			if got, err := r.register(t, lie); !errors.Is(err, passkey.ErrAnswer) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	r := newRoom(t)
	first := r.user.Passkeys[0]
	r.auth.Keys = nil
	if _, err := r.register(t, func(c *passkeytest.Claim) { c.ID = first.ID }); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("one credential id twice: %v", err)
	}
}

// A challenge is for one site and five minutes; another host's passkeys are not there.
func TestChallengesEnd(t *testing.T) {
	r := newRoom(t)
	c, a := r.get(t, nil)
	r.lab.Advance(passkey.Life + 2*time.Second)
	if _, err := r.Verify(c, r.user, a); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("an old challenge: %v", err)
	}
	if _, err := r.Verify(passkey.Challenge{}, r.user, a); !errors.Is(err, passkey.ErrAnswer) {
		t.Errorf("no challenge: %v", err)
	}
	if _, _, err := r.Begin("localhost:8443", &r.user); err == nil {
		t.Error("a passkey of another site was asked for")
	}
	for host, want := range map[string]string{"": "login.microsoftonline.com", "LOGIN.microsoft.com:443": "login.microsoft.com", "localhost:8443": "localhost", "127.0.0.1:1": "localhost", "[::1]:1": "localhost"} {
		options, c, err := r.Begin(host, nil)
		if err != nil || c.Site != want || !strings.Contains(options, `"rpId":"`+want+`"`) || strings.Contains(options, "allowCredentials") {
			t.Errorf("%q: %+v, %s, %v", host, c, options, err)
		}
	}
	for _, host := range []string{"evil.test", "login.microsoftonline.com.evil.test", "microsoftonline.com", "com", "a login.microsoft.com"} {
		if _, _, err := r.Begin(host, nil); err == nil {
			t.Errorf("%q is a site", host)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	r := newRoom(f)
	options, c, err := r.Begin(host, nil)
	if err != nil {
		f.Fatal(err)
	}
	good, err := r.auth.Get(options, origin)
	if err != nil {
		f.Fatal(err)
	}
	creation, cc, err := r.BeginRegistration(host, store.User{ID: r.user.ID, Tenant: r.user.Tenant, UPN: r.user.UPN})
	if err != nil {
		f.Fatal(err)
	}
	made, err := r.auth.Create(creation, origin)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, made, "", "{}", "null", "[]", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, credential []byte) {
		if a, err := passkey.Read(credential); err == nil {
			if _, err := r.Verify(c, r.user, a); err == nil && !sameResponse(t, credential, good) {
				t.Errorf("an answer that nobody signed was taken: %s", credential)
			}
		} else if !errors.Is(err, passkey.ErrAnswer) {
			t.Error(err)
		}
		if _, err := r.Register(cc, r.user, "k", credential); err != nil && !errors.Is(err, passkey.ErrAnswer) {
			t.Error(err)
		}
	})
}

// sameResponse says whether what is signed is the same; the envelope is nobody's.
func sameResponse(t *testing.T, a []byte, b string) bool {
	t.Helper()
	var x, y struct {
		Response struct {
			Client string `json:"clientDataJSON"`
			Data   string `json:"authenticatorData"`
		} `json:"response"`
	}
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return strings.Trim(x.Response.Client, "=\r\n") == y.Response.Client && strings.Trim(x.Response.Data, "=\r\n") == y.Response.Data
}
