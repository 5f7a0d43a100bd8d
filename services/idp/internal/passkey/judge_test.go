package passkey_test

import (
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// coseP256 is the size in bytes of a COSE_Key on P-256 with both coordinates whole.
const coseP256 = 77

// newCredential draws a credential whose public key is well formed: that authenticator
// drops zeros in front of a coordinate, which RFC 9053 (section 7.1.1) forbids, and so one
// key in 128 of its own is rightly refused.
func newCredential(kind virtualwebauthn.KeyType) virtualwebauthn.Credential {
	for {
		c := virtualwebauthn.NewCredential(kind)
		if kind != virtualwebauthn.KeyTypeEC2 || len(c.Key.AttestationData()) == coseP256 {
			return c
		}
	}
}

// An authenticator that nobody here wrote reads our options and is understood, with
// keys of each kind that it has.
func TestAnAuthenticatorOfOthers(t *testing.T) {
	for _, kind := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		t.Run(string(kind), func(t *testing.T) {
			s := passkey.New(passkey.Config{Clock: clock.NewLab()})
			u := store.User{ID: ids.NewUser(), Tenant: ids.NewTenant(), UPN: "ada@contoso.test", DisplayName: "Ada"}
			rp := virtualwebauthn.RelyingParty{ID: host, Name: "Lockstep", Origin: origin}
			auth, cred := virtualwebauthn.NewAuthenticator(), newCredential(kind)
			auth.Options.UserHandle = passkey.Handle(u.Tenant, u.ID)

			options, c, err := s.BeginRegistration(host, u)
			if err != nil {
				t.Fatal(err)
			}
			creation, err := virtualwebauthn.ParseAttestationOptions(options)
			if err != nil || creation.RelyingPartyID != host {
				t.Fatal(err)
			}
			k, err := s.Register(c, u, "Key", []byte(virtualwebauthn.CreateAttestationResponse(rp, auth, cred, *creation)))
			if err != nil {
				t.Fatal(err)
			}
			u.Passkeys = append(u.Passkeys, k)
			auth.AddCredential(cred)

			for _, of := range []*store.User{nil, &u} {
				options, c, err := s.Begin(host, of)
				if err != nil {
					t.Fatal(err)
				}
				request, err := virtualwebauthn.ParseAssertionOptions(options)
				if err != nil {
					t.Fatal(err)
				}
				cred.Counter++
				raw := virtualwebauthn.CreateAssertionResponse(rp, auth, cred, *request)
				a, err := passkey.Read([]byte(raw))
				if err != nil {
					t.Fatal(err)
				}
				if u.Passkeys[0], err = s.Verify(c, u, a); err != nil {
					t.Fatal(err)
				}
				if a, err = passkey.Read([]byte(strings.Replace(raw, `"type":"public-key"`, `"type":"key"`, 1))); err == nil {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}
