package idp_test

import (
	"context"
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// errand is one kind of request at the token endpoint.
type errand struct {
	path string
	// form is the body over HTTPS, call the same over gRPC. A kind that is signed
	// and works once takes the signed request.
	form func(signed string) url.Values
	call func(ctx context.Context, c stubs, signed string) error
	// sign makes a signed request; nil when one request works again and again.
	sign func() string
	// crypto is the cryptography that no implementation can do without; nil is none.
	crypto func() error
	// most is the goal for the cost in RSA-2048 signatures, mostFloor that for the
	// cost in floors; 0 is none.
	most, mostFloor float64
}

// stubs are the services that the front calls.
type stubs struct {
	nonces   idpv1.NonceServiceClient
	issuance idpv1.IssuanceServiceClient
	tokens   idpv1.TokenServiceClient
	grants   idpv1.GrantServiceClient
}

// BenchmarkTokenEndpoint is the token endpoint under load, over HTTPS (TLS 1.3 and
// HTTP/1.1 with kept connections, by pkg/host and by a server of nothing but
// net/http) and over gRPC with mutual TLS, by one client and by eight. Each figure stands beside a
// floor of the same minute: U is one RSA-2048 signature of Go, x_floor the cost
// against the cryptography of the request and an idle request on the same carrier.
// Costs are CPU time of the process, the client's share included, because
// neighbours on the machine change times and hardly change that; goals are those
// of a machine of its own. Passwords are left out: their hash is dear on purpose.
func BenchmarkTokenEndpoint(b *testing.B) {
	e := newEndpointWith(b, idp.Config{
		Tenants: federated(b), Assertions: oneAssertion{idp.Subject{ImmutableID: "zK4iG3pNEkWyVd0kX8a2jQ==", UPN: carol}},
	})
	carriers, kinds := newCarriers(b, e), errands(b, e)
	for _, name := range []string{"nonce", "prt", "renewal", "app_token", "refresh_v1", "refresh_v2", "client_credentials"} {
		b.Run(name, func(b *testing.B) {
			for _, c := range carriers {
				b.Run(c.name, func(b *testing.B) {
					b.Run("c1", func(b *testing.B) { drive(b, c, kinds[name], 1) })
					b.Run("c8", func(b *testing.B) { drive(b, c, kinds[name], 8) })
				})
			}
		})
	}
}

func errands(b *testing.B, e *endpoint) map[string]errand {
	b.Helper()
	s := e.join(b, alice, alicePassword, 1, 2).first(b, alice, alicePassword)
	all := map[string]errand{"nonce": {
		path: "/common/oauth2/token", mostFloor: 1.3,
		form: func(string) url.Values { return url.Values{"grant_type": {"srv_challenge"}} },
		call: func(ctx context.Context, c stubs, _ string) error {
			_, err := c.nonces.IssueNonce(ctx, &idpv1.IssueNonceRequest{})
			return err
		},
	}}
	signedErrands(b, e, s, all)
	plainErrands(b, e, s, all)
	return all
}

// signedErrands are those of devices.
func signedErrands(b *testing.B, e *endpoint, s *signIn, all map[string]errand) {
	b.Helper()
	signed := errand{path: "/common/oauth2/token", form: func(request string) url.Values {
		return url.Values{"windows_api_version": {"2.2"}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "client_info": {"1"}, "request": {request}}
	}}

	prt, d := signed, e.join(b, frank, frankPassword, 3, 4)
	prt.sign = func() string {
		c := d.claims(b, carol, "")
		c.GrantType, c.Assertion = entrawire.GrantSAML1, entrawire.EncodeSAML("<good/>")
		return d.sign(b, c)
	}
	prt.call = func(ctx context.Context, c stubs, request string) error {
		_, err := c.issuance.RequestPRT(ctx, &idpv1.RequestPRTRequest{Request: request})
		return err
	}
	prt.crypto = prtCrypto(b, e.world, d, s, prt.sign())

	renewal := signed
	renewal.most, renewal.sign = 0.35, func() string { return s.sign(b, s.renewal(b)) }
	renewal.call = func(ctx context.Context, c stubs, request string) error {
		_, err := c.issuance.RenewPRT(ctx, &idpv1.RenewPRTRequest{Request: request})
		return err
	}
	renewal.crypto = renewalCrypto(b, e.world, s)

	app := signed
	app.most, app.sign = 1.5, func() string { return s.sign(b, s.redemption(b, office, graph)) }
	app.call = func(ctx context.Context, c stubs, request string) error {
		_, err := c.tokens.RedeemPRT(ctx, &idpv1.RedeemPRTRequest{Request: request})
		return err
	}
	app.crypto = appTokenCrypto(b, e.world, s, s.tokens(b, s.redemption(b, office, graph)))
	all["prt"], all["renewal"], all["app_token"] = prt, renewal, app
}

// plainErrands are those of any client.
func plainErrands(b *testing.B, e *endpoint, s *signIn, all map[string]errand) {
	b.Helper()
	plain := func(path string, form url.Values, request *idpv1.RequestTokensRequest, signatures int) errand {
		claims := payloadOf(b, e.must(b, request).GetAccessToken())
		return errand{
			path: path, form: func(string) url.Values { return form },
			call: func(ctx context.Context, c stubs, _ string) error {
				_, err := c.grants.RequestTokens(ctx, request)
				return err
			},
			crypto: func() error {
				for range signatures {
					if _, err := jose.SignRS256(jose.Header{Typ: "JWT"}, claims, rsaKeys()[0]); err != nil {
						return err
					}
				}
				return nil
			},
		}
	}
	token := e.must(b, redemptionOf(v2, cli, e.codeFor(b, alice, nil))).GetRefreshToken()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {cli}, "refresh_token": {token}}
	all["refresh_v1"] = plain("/common/oauth2/token", form, refreshOf(v1, cli, token, ""), 1)
	all["refresh_v2"] = plain("/common/oauth2/v2.0/token", form, refreshOf(v2, cli, token, ""), 2)
	all["client_credentials"] = plain("/"+contoso+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {webApp}, "client_secret": {webSecret}, "scope": {graph + "/.default"},
	}, ownNameOf(v2, contoso, secretProof(webSecret)), 1)
}

// prtCrypto: verify the certificate and the request, seal the PRT, wrap its key.
func prtCrypto(b *testing.B, w *world, d *device, s *signIn, request string) func() error {
	b.Helper()
	ring, a := ringAndPRT(b, w, s)
	return func() error {
		t, err := jose.Parse(request)
		if err != nil {
			return err
		}
		if _, err := x509.ParseCertificate(t.Header.X5C[0]); err != nil {
			return err
		}
		for range 2 { // the authority's signature and the device's
			if err := t.VerifyRS256(&d.dk.PublicKey); err != nil {
				return err
			}
		}
		if _, err := ring.Seal(a); err != nil {
			return err
		}
		_, err = entrawire.SealSessionKey(&d.tk.PublicKey, s.key)
		return err
	}
}

// renewalCrypto: open the PRT, verify the request, seal the new PRT, wrap a new
// key, encrypt the answer.
func renewalCrypto(b *testing.B, w *world, s *signIn) func() error {
	b.Helper()
	ring, a := ringAndPRT(b, w, s)
	request := s.sign(b, s.renewal(b))
	_, answer := s.renew(b, s.renewal(b))
	plain := encoded(b, answer)
	return func() error {
		t, err := jose.Parse(request)
		if err != nil {
			return err
		}
		if _, err := w.svc.Authority().Open(sealed.PRT, secret.NewText(s.prt)); err != nil {
			return err
		}
		if err := entrawire.VerifySession(t, s.key); err != nil {
			return err
		}
		if _, err := ring.Seal(a); err != nil {
			return err
		}
		if answer.SessionKeyJWE != "" {
			if _, err := entrawire.SealSessionKey(&s.d.tk.PublicKey, s.key); err != nil {
				return err
			}
		}
		_, err = entrawire.SealAnswer(s.key, plain)
		return err
	}
}

func ringAndPRT(b *testing.B, w *world, s *signIn) (*sealed.Ring, sealed.Artefact) {
	b.Helper()
	ring, err := sealed.NewRing(sealed.FreshKey(1))
	if err != nil {
		b.Fatal(err)
	}
	a, err := w.svc.Authority().Open(sealed.PRT, secret.NewText(s.prt))
	if err != nil {
		b.Fatal(err)
	}
	return ring, a
}
