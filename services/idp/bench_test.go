package idp_test

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// prepared makes n requests before the clock of the benchmark starts.
func prepared(b *testing.B, request func() string) []string {
	b.Helper()
	out := make([]string, b.N)
	for i := range out {
		out[i] = request()
	}
	b.ReportAllocs()
	b.ResetTimer()
	return out
}

// ratio reports how many times the bare cryptography one operation costs.
func ratio(b *testing.B, crypto time.Duration) {
	b.Helper()
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(crypto), "x_crypto")
}

// timed is the mean time of f.
func timed(b *testing.B, f func() error) time.Duration {
	b.Helper()
	const rounds = 100
	start := time.Now()
	for range rounds {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / rounds
}

// BenchmarkAppToken is a whole RPC over mutual TLS against the cryptography that
// the same request cannot do without: open the PRT, verify the request, sign the
// access token, seal the refresh token, encrypt the answer.
func BenchmarkAppToken(b *testing.B) {
	w := newWorld(b, idp.Config{})
	s := w.join(b, alice, alicePassword, 1, 2).first(b, alice, alicePassword)
	answer := s.tokens(b, s.redemption(b, office, graph))
	crypto := timed(b, appTokenCrypto(b, w, s, answer))
	for _, r := range prepared(b, func() string { return s.sign(b, s.redemption(b, office, graph)) }) {
		if _, err := w.redeemPRT(r); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, crypto)
}

// appTokenCrypto: open the PRT, verify the request, sign the access token, seal the
// refresh token, encrypt the answer.
func appTokenCrypto(b *testing.B, w *world, s *signIn, answer entrawire.TokenAnswer) func() error {
	b.Helper()
	request := s.sign(b, s.redemption(b, office, graph))
	ring, a := ringAndPRT(b, w, s)
	claims, plain := payloadOf(b, answer.AccessToken.Reveal()), encoded(b, answer)
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
		if _, err := jose.SignRS256(jose.Header{Typ: "JWT"}, claims, rsaKeys()[0]); err != nil {
			return err
		}
		if _, err := ring.Seal(a); err != nil {
			return err
		}
		_, err = entrawire.SealAnswer(s.key, plain)
		return err
	}
}

// BenchmarkRenewal is a renewal with a new session key, which costs no signature.
func BenchmarkRenewal(b *testing.B) {
	w := newWorld(b, idp.Config{})
	s := w.join(b, alice, alicePassword, 1, 2).first(b, alice, alicePassword)
	sign := timed(b, func() error {
		_, err := jose.SignRS256(jose.Header{Typ: "JWT"}, []byte(`{"a":1}`), rsaKeys()[0])
		return err
	})
	for _, r := range prepared(b, func() string { return s.sign(b, s.renewal(b)) }) {
		if _, err := w.renewPRT(r); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(sign), "x_rs256_signature")
}

// BenchmarkIssuePRT issues to a federated user, so no password is hashed.
func BenchmarkIssuePRT(b *testing.B) {
	w := newWorld(b, idp.Config{Tenants: federated(b), Assertions: oneAssertion{idp.Subject{ImmutableID: "zK4iG3pNEkWyVd0kX8a2jQ==", UPN: carol}}})
	d := w.join(b, frank, frankPassword, 1, 2)
	for _, r := range prepared(b, func() string {
		c := d.claims(b, carol, "")
		c.GrantType, c.Assertion = entrawire.GrantSAML1, entrawire.EncodeSAML("<good/>")
		return d.sign(b, c)
	}) {
		if _, err := w.requestPRT(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNonce against a call that does nothing but travel.
func BenchmarkNonce(b *testing.B) {
	w := newWorld(b, idp.Config{})
	ctx := context.Background()
	idle := timed(b, func() error {
		_, err := w.realm.DiscoverRealm(ctx, &idpv1.DiscoverRealmRequest{UserPrincipalName: alice})
		return err
	})
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := w.nonces.IssueNonce(ctx, &idpv1.IssueNonceRequest{}); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(idle), "x_look_up_rpc")
}

// BenchmarkRefreshToken is a plain refresh token at the token endpoint against
// the signatures that its answer has: one on the endpoint without a version, two
// where the ID token is signed as well.
func BenchmarkRefreshToken(b *testing.B) {
	for name, c := range map[string]struct {
		protocol   idpv1.Protocol
		signatures int
	}{"v1": {v1, 1}, "v2": {v2, 2}} {
		b.Run(name, func(b *testing.B) {
			e := newEndpoint(b, nil)
			req := refreshOf(c.protocol, cli, e.must(b, redemptionOf(v2, cli, e.codeFor(b, alice, nil))).GetRefreshToken(), "")
			benchmarkTokens(b, e, req, c.signatures)
		})
	}
}

// BenchmarkClientCredentials is an application's token for its secret.
func BenchmarkClientCredentials(b *testing.B) {
	e := newEndpoint(b, nil)
	benchmarkTokens(b, e, ownNameOf(v2, contoso, secretProof(webSecret)), 1)
}

func benchmarkTokens(b *testing.B, e *endpoint, req *idpv1.RequestTokensRequest, signatures int) {
	b.Helper()
	claims := payloadOf(b, e.must(b, req).GetAccessToken())
	sign := timed(b, func() error {
		_, err := jose.SignRS256(jose.Header{Typ: "JWT"}, claims, rsaKeys()[0])
		return err
	})
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := e.RequestTokens(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, time.Duration(signatures)*sign)
}
