package idp_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

const mia, miaPassword = "mia@contoso.test", "two factors are better"

// rawHeader signs a request with a header that is written by hand.
func (s *signIn) rawHeader(t testing.TB, header claims, ctx []byte, payload []byte, v2 bool) string {
	t.Helper()
	in := jose.EncodeSegment(encoded(t, header)) + "." + jose.EncodeSegment(payload)
	context := ctx
	if v2 {
		context = kdf.ContextV2(ctx, payload)
	}
	out, err := jose.FinishHS256(in, kdf.Derive(s.key, context))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWire07_XAsStringAndArray(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 1)
	text := base64.StdEncoding.EncodeToString(d.cert)
	for name, x5c := range map[string]any{"string": text, "array": []string{text}} {
		t.Run(name, func(t *testing.T) {
			in := jose.EncodeSegment(encoded(t, claims{"alg": "RS256", "typ": "JWT", "x5c": x5c, "kdf_ver": 2})) + "." +
				jose.EncodeSegment(encoded(t, d.claims(t, alice, alicePassword)))
			if err := d.open(t, signRaw(t, d, in)).use(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWire08_Wire09_ContextOfAnyLengthAndNoKDFVersion is libhimmelblau, which never
// sends kdf_ver, and the lengths of ctx that are out there.
func TestWire08_Wire09_ContextOfAnyLengthAndNoKDFVersion(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	old := d.open(t, d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, d.dk, encoded(t, d.claims(t, alice, alicePassword))))
	for _, size := range []int{16, 24, 32, 64} {
		ctx := make([]byte, size)
		_, _ = rand.Read(ctx)
		header := claims{"alg": "HS256", "typ": "JWT", "ctx": base64.StdEncoding.EncodeToString(ctx)}
		if _, err := w.redeemPRT(old.rawHeader(t, header, ctx, encoded(t, old.roadtxToken(t, office, graph)), false)); err != nil {
			t.Errorf("%d bytes, version 1: %v", size, err)
		}
		header["kdf_ver"] = 2
		if _, err := w.redeemPRT(old.rawHeader(t, header, ctx, encoded(t, old.roadtxToken(t, office, graph)), true)); err != nil {
			t.Errorf("%d bytes, version 2: %v", size, err)
		}
	}
	for _, size := range []int{8, 65, 4096} { // row 30 of the attacks
		ctx := make([]byte, size)
		header := claims{"alg": "HS256", "ctx": base64.StdEncoding.EncodeToString(ctx)}
		_, err := w.redeemPRT(old.rawHeader(t, header, ctx, encoded(t, old.roadtxToken(t, office, graph)), false))
		wantCode(t, err, aadsts.MalformedRequest)
	}
}

// TestAttack02_Attack03_DerivedKeysDoNotTravel: who has one derived key of version 1
// can sign anything with it; a PRT whose device can do better refuses that, and
// the request cannot talk it out of it.
func TestAttack02_Attack03_DerivedKeysDoNotTravel(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	ctx := make([]byte, 24)
	text := base64.StdEncoding.EncodeToString(ctx)
	for name, header := range map[string]claims{
		"absent":    {"alg": "HS256", "ctx": text},
		"version 1": {"alg": "HS256", "ctx": text, "kdf_ver": 1},
	} {
		_, err := w.redeemPRT(s.rawHeader(t, header, ctx, encoded(t, s.roadtxToken(t, office, graph)), false))
		if prterr.CodeOf(err) != aadsts.KDFVersionInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, version := range map[string]any{"text": "2", "fraction": 2.5, "4": 4, "0": 0, "null": nil, "list": []int{2}} {
		header := claims{"alg": "HS256", "ctx": text, "kdf_ver": version}
		_, err := w.redeemPRT(s.rawHeader(t, header, ctx, encoded(t, s.roadtxToken(t, office, graph)), true))
		if prterr.CodeOf(err) != aadsts.MalformedRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The key of one payload signs no other one.
	payload := encoded(t, s.roadtxToken(t, office, graph))
	stolen := s.rawHeader(t, claims{"alg": "HS256", "ctx": text, "kdf_ver": 2}, ctx, payload, true)
	_, err := w.redeemPRT(withPayload(stolen, encoded(t, s.roadtxToken(t, cli, graph))))
	wantCode(t, err, aadsts.InvalidSessionKey)
}

func TestWire25_ClaimsMayBeNull(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	c := claims{
		"client_id": entrawire.SignInClientID, "request_nonce": w.nonce(t), "scope": "openid aza ugs", "win_ver": nil, "grant_type": "password",
		"username": alice, "password": alicePassword, "assertion": nil, "refresh_token": nil, "group_sids": nil, "resource": nil,
	}
	s := d.open(t, d.signAs(t, jose.Header{Typ: "JWT", X5C: [][]byte{d.cert}}, d.dk, nulls(t, c)))
	raw := nulls(t, s.roadtxToken(t, entrawire.SignInClientID, "").with(claims{"scope": "openid ugs aza"}))
	raw = []byte(strings.Replace(string(raw), `"resource":""`, `"resource":null,"ua_client_id":null`, 1))
	signed, err := entrawire.SignSession(raw, s.key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.renewPRT(signed); err != nil {
		t.Error(err)
	}
}

// nulls writes nil members as null.
func nulls(t testing.TB, c claims) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any(c))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWire06_Wire10_WhatClientsTakeApart: a dot in every opaque value, and answers
// that are CBC in fact and say A256GCM.
func TestWire06_Wire10_WhatClientsTakeApart(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
	text, err := w.redeemPRT(s.sign(t, s.roadtxToken(t, office, graph)))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 5 || parts[1] != "" || parts[4] != "" || strings.HasPrefix(text, `{"`) {
		t.Fatal("not the form that clients know")
	}
	header, _ := jose.DecodeSegment(parts[0])
	iv, _ := jose.DecodeSegment(parts[2])
	if len(iv) != 16 || !strings.Contains(string(header), `"enc":"A256GCM"`) || !strings.Contains(string(header), `"alg":"dir"`) {
		t.Errorf("header %s, iv of %d bytes", header, len(iv))
	}
	var a entrawire.TokenAnswer
	s.decrypt(t, text, &a)
	for _, opaque := range []string{s.prt, a.RefreshToken.Reveal()} {
		if !entrawire.IsOpaque(opaque) || !strings.Contains(opaque, ".") {
			t.Errorf("%q", opaque)
		}
	}
}

// TestWire12_ThePRTAnswer is the shape of the captured exchange.
func TestWire12_ThePRTAnswer(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	a, err := w.foreign(t).issuance.RequestPRT(context.Background(), &idpv1.RequestPRTRequest{
		Request: d.sign(t, d.claims(t, alice, alicePassword)), Caller: &idpv1.Caller{CorrelationId: "6F9619FF-8B86-D011-B42D-00C04FC964FF"},
	})
	if err != nil || a.GetExpiresIn() != 1209599 || a.GetRefreshTokenExpiresIn() != 1209599 || a.GetSessionKeyJwe() == "" || a.GetClientInfo() == "" {
		t.Fatalf("%v, %v", a, err)
	}
	token, err := jose.ParseUnsigned(a.GetIdToken())
	if err != nil {
		t.Fatal(err)
	}
	var id entrawire.IDToken
	if err := token.Claims(&id); err != nil || id.Name != "Alice Adams" || id.TID != contoso || id.OID == "" || id.PreferredUsername != alice || !slices.Equal(id.AMR, []string{"pwd", "rsa"}) {
		t.Errorf("%+v, %v", id, err)
	}
	events := w.svc.SignIns()
	if last := events[len(events)-1]; last.Correlation != "6f9619ff-8b86-d011-b42d-00c04fc964ff" {
		t.Errorf("logged as %+v", last)
	}
}

func TestForeignClientsAskForTokensInTheirWays(t *testing.T) {
	w := newWorld(t, idp.Config{})
	s := w.join(t, alice, alicePassword, 1, 1).first(t, alice, alicePassword)
	drs := s.answer(t, s.roadtxToken(t, entrawire.BrokerClientID, entrawire.RegistrationResource).with(claims{"redirect_uri": native + "DRS"}))
	if c := w.accessToken(t, drs.AccessToken); c.Aud != entrawire.RegistrationResource || c.DeviceID != s.d.id || !slices.Equal(c.AMR, []string{"pwd", "rsa"}) {
		t.Errorf("%+v", c)
	}
	for name, change := range map[string]claims{
		"another registered address": {"redirect_uri": "https://login.microsoftonline.com/common/oauth2/nativeclient"},
		"no address":                 {"redirect_uri": nil},
		"no audience":                {"aud": nil},
		"with more scopes":           {"scope": "openid profile offline_access"},
		"no times":                   {"iat": nil, "exp": nil},
	} {
		if a := s.answer(t, s.roadtxToken(t, cli, graph).with(change)); a.AccessToken.Empty() || a.RefreshToken.Empty() || a.ClientInfo == "" || a.ExpiresIn == 0 {
			t.Errorf("%s: a token is missing", name)
		}
	}
	none := s.answer(t, s.roadtxToken(t, cli, "").with(claims{"resource": nil}))
	if !none.AccessToken.Empty() || none.IDToken.Empty() || none.RefreshToken.Empty() {
		t.Error("without a resource: want ID token and refresh token, and no access token")
	}
	both := s.answer(t, s.roadtxToken(t, cli, graph).with(claims{"scope": "openid aza"}))
	if next := (&signIn{d: s.d, prt: both.RefreshToken.Reveal(), key: s.key}); next.use(t) != nil || both.RefreshTokenExpiresIn == 0 || !both.PRT.Empty() {
		t.Error("aza: want a new PRT as refresh_token")
	}
	words := s.roadtxToken(t, cli, "").with(claims{"resource": nil, "scope": "openid User.Read"})
	if a := s.answer(t, words); !a.AccessToken.Empty() {
		t.Error("a scope of nothing got a token on the endpoint without a version")
	}
	a, err := w.foreign(t).tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{
		Request: s.sign(t, words.with(claims{"request_nonce": w.nonce(t)})), Endpoint: idpv1.Protocol_PROTOCOL_V2,
	})
	if err != nil {
		t.Fatal(err)
	}
	var graphed entrawire.TokenAnswer
	s.decrypt(t, a.GetAnswer(), &graphed)
	if c := w.accessToken(t, graphed.AccessToken); c.Aud != graph || graphed.Scope != "User.Read" {
		t.Errorf("%+v, scope %q", c, graphed.Scope)
	}
	_, err = w.redeemPRT(s.sign(t, s.roadtxToken(t, cli, graph).with(claims{"redirect_uri": "https://evil.test/"})))
	wantCode(t, err, aadsts.InvalidReplyTo)
	_, err = w.redeemPRT(s.sign(t, s.roadtxToken(t, cli, graph).with(claims{"aud": "https://evil.test"})))
	wantCode(t, err, aadsts.InvalidRequest)
}

// TestPRTWithoutADevice signs and renews like any other, and names no device.
func TestPRTWithoutADevice(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: demandDevice()})
	d := w.join(t, alice, alicePassword, 1, 2)
	a := w.artefact(t, sealed.PRT, d.first(t, alice, alicePassword).prt)
	a.Device, a.Certificate, a.Deviceless, a.Protocol = "", [32]byte{}, true, 3
	text, err := w.svc.Authority().Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	s := &signIn{d: d, prt: text.Reveal(), key: a.SessionKey}
	c := w.accessToken(t, s.answer(t, s.roadtxToken(t, cli, "https://graph.windows.net")).AccessToken)
	if c.DeviceID != "" || c.UPN != alice {
		t.Errorf("%+v", c)
	}
	_, err = w.redeemPRT(s.sign(t, s.roadtxToken(t, cli, graph)))
	wantCode(t, err, aadsts.DeviceAuthenticationRequired)
	if next, answer := s.renew(t, s.renewal(t)); answer.SessionKeyJWE != "" || next.use(t) != nil {
		t.Error("a session key came for a device that is not there, or no new PRT")
	}
	a.Deviceless = false
	if text, err = w.svc.Authority().Seal(a); err != nil {
		t.Fatal(err)
	}
	wantCode(t, (&signIn{d: d, prt: text.Reveal(), key: a.SessionKey}).use(t), aadsts.DeviceAuthenticationFailed)
}

// TestA12_A13_WhoseRefreshTokensNeedNoSignature: tokens of clients that do not sign
// are plain and the family's, never in a strict tenant, and never ours.
func TestA12_A13_WhoseRefreshTokensNeedNoSignature(t *testing.T) {
	for profile, open := range map[string]bool{"2020": true, "today": true, "strict": false} {
		t.Run(profile, func(t *testing.T) {
			w := newWorld(t, idp.Config{Tenants: withProfile(profile)})
			s := w.join(t, alice, alicePassword, 1, 2).first(t, alice, alicePassword)
			a := s.answer(t, s.roadtxToken(t, office, graph))
			rt := w.artefact(t, sealed.RefreshToken, a.RefreshToken.Reveal())
			if rt.Plain != open || rt.Family != open || (a.Foci == "1") != open || rt.SessionKey.Empty() || string(rt.Device) != s.d.id {
				t.Errorf("plain %t, family %t, foci %q", rt.Plain, rt.Family, a.Foci)
			}
			if other := w.artefact(t, sealed.RefreshToken, s.answer(t, s.roadtxToken(t, entrawire.BrokerClientID, "").with(claims{"redirect_uri": nil})).RefreshToken.Reveal()); other.Family {
				t.Error("the broker is in the family")
			}
			own := w.artefact(t, sealed.RefreshToken, s.tokens(t, s.redemption(t, office, graph)).RefreshToken.Reveal())
			if own.Plain || own.Family {
				t.Error("a client that signs got a token that needs no signature")
			}
			sibling := s.roadtxToken(t, cli, graph).with(claims{"refresh_token": a.RefreshToken.Reveal()})
			_, err := w.redeemRT(s.sign(t, sibling))
			if (err == nil) != open {
				t.Errorf("a sibling: %v", err)
			}
			_, err = w.redeemRT(s.sign(t, s.roadtxToken(t, entrawire.BrokerClientID, graph).with(claims{"redirect_uri": nil, "refresh_token": a.RefreshToken.Reveal()})))
			wantCode(t, err, aadsts.InvalidGrant)
		})
	}
}

// demandDevice is a tenant file with a policy that demands a compliant device.
func demandDevice() []byte {
	return withPolicy("include_users: [All]", `include_resources: ["https://graph.microsoft.com"]`, "grant: compliant_device")
}

func TestPoliciesAtUse(t *testing.T) {
	w := newWorld(t, idp.Config{Tenants: demandDevice()})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	refused := func(s *signIn, c claims) *prterr.Error {
		t.Helper()
		_, err := w.redeemPRT(s.sign(t, c))
		var e *prterr.Error
		if !errors.As(err, &e) {
			t.Fatalf("got %v, want a refusal", err)
		}
		return e
	}
	if e := refused(s, s.roadtxToken(t, office, graph)); e.Code != aadsts.DeviceNotCompliant || !strings.Contains(e.Claims, "capolids") {
		t.Errorf("%v with %s", e, e.Claims)
	}
	compliant(t, w, d, true)
	s.answer(t, s.roadtxToken(t, office, graph))

	m := w.join(t, mia, miaPassword, 3, 4)
	password := m.first(t, mia, miaPassword) // a PRT is never refused by policy
	if e := refused(password, password.roadtxToken(t, office, "https://graph.windows.net")); e.Code != aadsts.MFARequired || e.Claims == "" {
		t.Errorf("%v with %s", e, e.Claims)
	}
	if a := password.answer(t, password.roadtxToken(t, office, "")); a.RefreshToken.Empty() {
		t.Error("without a resource no policy is asked")
	}
	strong := m.open(t, m.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, mia, nil))))
	strong.answer(t, strong.roadtxToken(t, office, "https://graph.windows.net"))
}

// TestAttack32_ClaimsOnlyRaise: what comes beside a signed request nobody signed.
func TestAttack32_ClaimsOnlyRaise(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	f, password := w.foreign(t), d.first(t, alice, alicePassword)
	strong := d.open(t, d.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, func(a *sealed.Artefact) { a.AMR = []string{"pwd", "mfa", "ngcmfa"} }))))
	fresh := d.open(t, d.sign(t, w.roadtxUpgrade(t, w.brokerToken(t, alice, func(a *sealed.Artefact) { a.MFATime = time.Now().Unix() }))))
	ask := func(s *signIn, text string) (accessClaims, error) {
		a, err := f.tokens.RedeemPRT(context.Background(), &idpv1.RedeemPRTRequest{Request: s.sign(t, s.roadtxToken(t, office, graph)), Claims: text})
		if err != nil {
			return accessClaims{}, err
		}
		var out entrawire.TokenAnswer
		s.decrypt(t, a.GetAnswer(), &out)
		return w.accessToken(t, out.AccessToken), nil
	}
	for name, c := range map[string]struct {
		s    *signIn
		text string
		code aadsts.Code
	}{
		"nothing":                {password, ``, 0},
		"CAE":                    {password, `{"access_token":{"xms_cc":{"values":["CP1"]}}}`, 0},
		"unknown, and null":      {password, `{"id_token":null,"access_token":{"acr":null,"x":{"value":7}}}`, 0},
		"a device":               {password, `{"access_token":{"deviceid":{"essential":true}}}`, 0},
		"a factor, none proven":  {password, `{"access_token":{"amr":{"values":["mfa"]}}}`, aadsts.MFARequired},
		"a factor, proven":       {strong, `{"access_token":{"amr":{"values":["mfa"]}}}`, 0},
		"a fresh factor, an old": {strong, `{"access_token":{"amr":{"values":["ngcmfa"]}}}`, aadsts.MFARequired},
		"a fresh factor, fresh":  {fresh, `{"access_token":{"amr":{"values":["ngcmfa"]}}}`, 0},
		"no factor, please":      {strong, `{"access_token":{"amr":{"values":["pwd"]}}}`, 0},
		"not JSON":               {password, `{`, aadsts.InvalidRequest},
		"a bomb":                 {password, `{"access_token":{"x":{"value":"` + strings.Repeat("x", 5000) + `"}}}`, aadsts.InvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(c.s, c.text)
			wantCode(t, err, c.code)
		})
	}
	if c, err := ask(fresh, `{"access_token":{"amr":{"values":["ngcmfa"]}}}`); err != nil || !slices.Contains(c.AMR, "ngcmfa") {
		t.Errorf("%v, %v", c.AMR, err)
	}
	if c, err := ask(strong, ""); err != nil || slices.Contains(c.AMR, "ngcmfa") || !slices.Contains(c.AMR, "mfa") {
		t.Errorf("an old factor is called fresh, or forgotten: %v, %v", c.AMR, err)
	}
}

// TestAttack30_HeaderTricks on both kinds of signature.
func TestAttack30_HeaderTricks(t *testing.T) {
	w := newWorld(t, idp.Config{})
	d := w.join(t, alice, alicePassword, 1, 2)
	s := d.first(t, alice, alicePassword)
	text := base64.StdEncoding.EncodeToString(d.cert)
	ctx := make([]byte, 24)
	for name, extra := range map[string]string{
		"crit": `"crit":["x"]`, "jku": `"jku":"https://evil.test"`, "x5u": `"x5u":"https://evil.test"`, "jwk": `"jwk":{}`, "alg twice": `"alg":"none"`,
		"chain": `"x5c":["` + text + `","` + text + `"]`,
	} {
		t.Run(name, func(t *testing.T) {
			device := `{"alg":"RS256",` + extra + `,"x5c":"` + text + `"}`
			if name == "chain" {
				device = `{"alg":"RS256",` + extra + `}`
			}
			_, err := w.requestPRT(signRaw(t, d, jose.EncodeSegment([]byte(device))+"."+jose.EncodeSegment(encoded(t, d.claims(t, alice, alicePassword)))))
			wantCode(t, err, aadsts.MalformedRequest)
			session := `{"alg":"HS256",` + extra + `,"kdf_ver":2,"ctx":"` + base64.StdEncoding.EncodeToString(ctx) + `"}`
			payload := encoded(t, s.roadtxToken(t, office, graph))
			signed, err := jose.FinishHS256(jose.EncodeSegment([]byte(session))+"."+jose.EncodeSegment(payload), kdf.Derive(s.key, kdf.ContextV2(ctx, payload)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.redeemPRT(signed)
			wantCode(t, err, aadsts.MalformedRequest)
		})
	}
	twice := append(bytes.TrimSuffix(encoded(t, s.roadtxToken(t, office, graph)), []byte("}")), `,"client_id":"`+cli+`"}`...)
	_, err := w.redeemPRT(s.rawHeader(t, claims{"alg": "HS256", "ctx": base64.StdEncoding.EncodeToString(ctx), "kdf_ver": 2}, ctx, twice, true))
	wantCode(t, err, aadsts.MalformedRequest)
	for _, size := range []int{0, 15, 65, 4096} {
		ctx, payload := make([]byte, size), encoded(t, s.roadtxToken(t, office, graph))
		_, err := w.redeemPRT(s.rawHeader(t, claims{"alg": "HS256", "ctx": base64.StdEncoding.EncodeToString(ctx), "kdf_ver": 2}, ctx, payload, true))
		wantCode(t, err, aadsts.MalformedRequest)
	}
	big := s.roadtxToken(t, office, graph).with(claims{"x": strings.Repeat("x", 50<<10)})
	_, err = w.redeemPRT(s.sign(t, big))
	wantCode(t, err, aadsts.MalformedRequest)
}
