package sealed_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

func sample(kind sealed.Type) sealed.Artefact {
	return sealed.Artefact{
		Type: kind, Tenant: ids.NewTenant(), User: ids.NewUser(), Device: ids.NewDevice(), Certificate: [32]byte{1, 2, 3},
		Client: ids.ClientID(entrawire.SignInClientID), SessionID: "sid", SessionKey: secret.NewBytes(make([]byte, 32)), Credential: sealed.Password,
		AMR: []string{"pwd", "rsa"}, KeyMade: time.UnixMilli(500), AuthTime: time.UnixMilli(1000), KDFMin: 2, PasswordEpoch: 3, SessionEpoch: 4,
		Issued: time.UnixMilli(2000), Expires: time.UnixMilli(3000),
	}
}

func ring(t testing.TB, keys ...sealed.Key) *sealed.Ring {
	t.Helper()
	r, err := sealed.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRoundTripAndTypes(t *testing.T) {
	r := ring(t, sealed.FreshKey(1))
	for _, kind := range []sealed.Type{sealed.PRT, sealed.RefreshToken, sealed.Cookie} {
		a := sample(kind)
		text, err := r.Seal(a)
		if err != nil {
			t.Fatal(err)
		}
		if !entrawire.IsOpaque(text.Reveal()) || !strings.HasPrefix(text.Reveal(), "1.") {
			t.Errorf("%s", text.Reveal())
		}
		for _, want := range []sealed.Type{sealed.PRT, sealed.RefreshToken, sealed.Cookie} {
			got, err := r.Open(want, text.Reveal())
			switch {
			case want == kind && (err != nil || !reflect.DeepEqual(got, a)):
				t.Errorf("%v: %+v, %v", kind, got, err)
			case want != kind && !errors.Is(err, sealed.ErrArtefact):
				t.Errorf("a %v passed for a %v", kind, want)
			}
		}
	}
}

// TestISS09_TenantIsBound moves a sealed part under the routing of another
// artefact.
func TestISS09_TenantIsBound(t *testing.T) {
	r := ring(t, sealed.FreshKey(1))
	one, _ := r.Seal(sample(sealed.PRT))
	two, _ := r.Seal(sample(sealed.PRT))
	a, b := strings.Split(one.Reveal(), "."), strings.Split(two.Reveal(), ".")
	if _, err := r.Open(sealed.PRT, "1."+a[1]+"."+b[2]); !errors.Is(err, sealed.ErrArtefact) {
		t.Error("the routing is not bound")
	}
}

func TestKeysRotate(t *testing.T) {
	old, fresh := sealed.FreshKey(1), sealed.FreshKey(2)
	before, _ := ring(t, old).Seal(sample(sealed.PRT))
	both := ring(t, fresh, old)
	if _, err := both.Open(sealed.PRT, before.Reveal()); err != nil {
		t.Error("an old key does not open any more")
	}
	after, _ := both.Seal(sample(sealed.PRT))
	if _, err := ring(t, fresh).Open(sealed.PRT, after.Reveal()); err != nil {
		t.Error("the newest key did not seal")
	}
	for name, r := range map[string]*sealed.Ring{"retired": ring(t, fresh), "another key of that number": ring(t, sealed.FreshKey(1))} {
		if _, err := r.Open(sealed.PRT, before.Reveal()); !errors.Is(err, sealed.ErrArtefact) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, keys := range [][]sealed.Key{nil, {old, old}, {{ID: 1, Key: secret.NewBytes(make([]byte, 16))}}} {
		if _, err := sealed.NewRing(keys...); err == nil {
			t.Errorf("%d keys that do not fit were taken", len(keys))
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, sealed.FreshKey(1))
	text, _ := r.Seal(sample(sealed.PRT))
	for _, s := range []string{"", "1..", "1.AA.AA", text.Reveal(), text.Reveal() + "\n", "1." + jose.EncodeSegment(make([]byte, 40)) + "." + jose.EncodeSegment(make([]byte, 64))} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := r.Open(sealed.PRT, s); (err == nil) != (s == text.Reveal()) {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestRingTakesOtherKeys(t *testing.T) {
	one, two := sealed.FreshKey(1), sealed.FreshKey(2)
	ring, err := sealed.NewRing(one)
	if err != nil {
		t.Fatal(err)
	}
	old := ring.SealState([]byte("x"))
	if err := ring.Use(two, one); err != nil {
		t.Fatal(err)
	}
	fresh := ring.SealState([]byte("y"))
	for text, want := range map[string]string{old.Reveal(): "x", fresh.Reveal(): "y"} {
		if got, err := ring.OpenState(text); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	if ring.Use() == nil || ring.Use(one, one) == nil {
		t.Error("took no keys, or the same twice")
	}
	if err := ring.Use(two); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.OpenState(old.Reveal()); err == nil {
		t.Error("a key that is gone still opens")
	}
	if _, err := ring.OpenState(fresh.Reveal()); err != nil {
		t.Error(err)
	}
}
