package entrawire_test

import "strings"

const sessionSource = "MS-OAPXBC 3.1.5.1.3.3; requests of Windows, ROADtools and libhimmelblau"

// The ctx of Windows and of ROADtools has 24 bytes, that of libhimmelblau 32.
func ctx24() []byte { return count(0x40, 24) }
func ctx32() []byte { return count(0x80, 32) }

// message is a token signed with a session key; each defect changes one thing.
type message struct {
	ctx     []byte
	kdfVer  int // what the signer does; the header says the same unless given
	header  string
	payload string
	key     []byte // the session key
	label   string // of the derivation
	context []byte // of the derivation, in place of the right one
}

func (m message) head() string {
	switch {
	case m.header != "":
		return m.header
	case m.kdfVer == 2:
		return `{"alg":"HS256","ctx":"` + std64(m.ctx) + `","kdf_ver":2}`
	}
	return `{"alg":"HS256","ctx":"` + std64(m.ctx) + `"}`
}

func (m message) signingContext() []byte {
	switch {
	case m.context != nil:
		return m.context
	case m.kdfVer == 2:
		return contextV2(m.ctx, m.payload)
	}
	return m.ctx
}

func (m message) compact() string {
	return compact(m.head(), m.payload, byHMAC(derive(m.key, m.label, m.signingContext())))
}

// result is what any reader has to find out on the way to the signature.
func (m message) result(more ...string) map[string]string {
	ver := "0"
	if m.kdfVer == 2 {
		ver = "2"
	}
	r := map[string]string{
		"kdf_ver": ver, "context_hex": hexed(m.signingContext()), "derived_key_hex": hexed(derive(m.key, m.label, m.signingContext())), "payload": m.payload,
	}
	for i := 0; i < len(more); i += 2 {
		r[more[i]] = more[i+1]
	}
	return r
}

func (m message) vector(kind, name, what, expect string, result map[string]string) vector {
	return sessionVector(kind, name, what, expect, m.compact(), result)
}

func sessionVector(kind, name, what, expect, input string, result map[string]string) vector {
	return vector{
		Name: kind + "/" + name, Kind: kind, What: what, Expect: expect, Source: sessionSource,
		Given: map[string]string{"session_key_hex": hexed(count(0, 32))}, Input: input, Result: result,
	}
}

const renewalClaims = `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","scope":"openid aza ugs","refresh_token":"` + oldPRT + `","previous_refresh_token":"` + oldPRT + `","grant_type":"refresh_token","iss":"aad:brokerplugin","request_nonce":"` + nonceA + `","win_ver":"10.0.19041.868","group_sids":[]}`

const renewalHimmelblau = `{"win_ver":null,"scope":"openid ugs aza","resource":null,"request_nonce":"` + nonceA + `","refresh_token":"` + oldPRT + `","iss":"aad:brokerplugin","grant_type":"refresh_token","client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","aud":"login.microsoftonline.com"}`

func renewalMessage(k keys) message {
	return message{ctx: ctx24(), kdfVer: 2, payload: renewalClaims, key: k.session, label: kdfLabel}
}

func renewed(m message) map[string]string {
	return m.result("client_id", "38aa3b87-a06d-4817-b275-7a316988d93b", "refresh_token", oldPRT, "request_nonce", nonceA, "wants_prt", "true")
}

// sessionCases are the renewals that real clients send.
func sessionCases(k keys) []vector {
	v2 := renewalMessage(k)
	v1 := message{ctx: ctx32(), payload: renewalHimmelblau, key: k.session, label: kdfLabel}
	one := v2
	one.kdfVer, one.header = 1, `{"alg":"HS256","typ":"JWT","ctx":"`+std64(one.ctx)+`","kdf_ver":1}`
	keyboard := v2
	keyboard.payload = strings.Replace(renewalClaims, `"win_ver"`, `"username":"alice@contoso.test","password":"correct horse battery staple","win_ver"`, 1)
	unusual := v2
	unusual.payload = "{ \"iss\" : \"aad:brokerplugin\",\r\n" + strings.TrimPrefix(strings.Replace(renewalClaims, `"iss":"aad:brokerplugin",`, "", 1), "{")
	ver1 := renewed(one)
	ver1["kdf_ver"] = "1"
	return []vector{
		v2.vector("renewal", "kdf2", "A renewal as ROADtools writes it: kdf_ver 2, 24 bytes of ctx.", accept, renewed(v2)),
		v1.vector("renewal", "kdf1", "A renewal as libhimmelblau writes it: no kdf_ver, 32 bytes of ctx, null claims.", accept, renewed(v1)),
		one.vector("renewal", "kdf1-said", "kdf_ver 1 in the header is what no kdf_ver is.", accept, ver1),
		keyboard.vector("renewal", "password", "A renewal with the user at the keyboard.", accept, renewed(keyboard)),
		unusual.vector("renewal", "unusual-json", "Blanks and line breaks in the payload: version 2 binds the bytes as they were sent.", accept, renewed(unusual)),
	}
}

// sessionDefects are renewals with one defect each.
func sessionDefects(k keys) []vector {
	good := renewalMessage(k)
	parts := strings.Split(good.compact(), ".")
	bad := func(name, what, expect string, change func(*message)) vector {
		m := good
		change(&m)
		return m.vector("renewal", name, what, expect, nil)
	}
	head := func(h string) func(*message) { return func(m *message) { m.header = h } }
	claim := func(from, to string) func(*message) {
		return func(m *message) { m.payload = strings.Replace(m.payload, from, to, 1) }
	}
	raw := func(name, what, expect, input string) vector {
		return sessionVector("renewal", name, what, expect, input, nil)
	}
	c := std64(good.ctx)
	return []vector{
		raw("downgrade", "kdf_ver was taken out of a token of version 2.", "signature", url64([]byte(`{"alg":"HS256","ctx":"`+c+`"}`))+"."+parts[1]+"."+parts[2]),
		bad("kdf1-called-2", "Derived by version 1; the header says 2.", "signature", func(m *message) { m.kdfVer, m.header = 1, `{"alg":"HS256","ctx":"`+c+`","kdf_ver":2}` }),
		bad("other-payload", "Another payload under the derived key of a captured token: what version 2 is there for.", "signature", func(m *message) {
			m.context, m.payload = contextV2(m.ctx, renewalClaims), strings.Replace(renewalClaims, nonceA, nonceB, 1)
		}),
		bad("payload-first", "Version 2 with the payload before the ctx.", "signature", func(m *message) { m.context = contextV2([]byte(m.payload), string(m.ctx)) }),
		bad("payload-encoded", "Version 2 over the base64url of the payload.", "signature", func(m *message) { m.context = contextV2(m.ctx, url64([]byte(m.payload))) }),
		bad("label", "The label of the derivation in lower case.", "signature", func(m *message) { m.label = strings.ToLower(m.label) }),
		raw("underived", "Signed with the session key itself.", "signature", compact(good.head(), good.payload, byHMAC(k.session))),
		bad("other-session", "Signed with another session key.", "signature", func(m *message) { m.key = count(0x20, 32) }),
		raw("payload-changed", "The nonce was changed after the token was signed.", "signature", parts[0]+"."+url64([]byte(strings.Replace(good.payload, nonceA, nonceB, 1)))+"."+parts[2]),
		raw("ctx-changed", "The ctx was changed after the token was signed.", "signature", url64([]byte(`{"alg":"HS256","ctx":"`+std64(count(0x41, 24))+`","kdf_ver":2}`))+"."+parts[1]+"."+parts[2]),
		raw("signature-short", "The last byte of the signature is missing.", "signature", parts[0]+"."+parts[1]+"."+url64(mac(derive(good.key, good.label, good.signingContext()), []byte(parts[0]+"."+parts[1]))[:31])),
		raw("alg-none", "alg is none and there is no signature.", "algorithm", compact(`{"alg":"none","ctx":"`+c+`","kdf_ver":2}`, good.payload, unsigned)),
		raw("alg-rs256", "Signed by the device key: this step takes the session key alone.", "algorithm", compact(`{"alg":"RS256","ctx":"`+c+`","kdf_ver":2}`, good.payload, byRSA(k.device))),
		raw("alg-hs512", "alg says HS512.", "algorithm", compact(`{"alg":"HS512","ctx":"`+c+`","kdf_ver":2}`, good.payload, byHMAC(derive(good.key, good.label, good.signingContext())))),
		bad("no-ctx", "The header has no ctx; signed with an empty one.", "header", func(m *message) { m.header, m.context = `{"alg":"HS256","kdf_ver":2}`, contextV2(nil, m.payload) }),
		bad("ctx-15", "A ctx of 15 bytes.", "malformed", func(m *message) { m.ctx = count(0, 15) }),
		bad("ctx-65", "A ctx of 65 bytes.", "malformed", func(m *message) { m.ctx = count(0, 65) }),
		bad("ctx-url", "The ctx in base64url; it is standard base64.", "malformed", func(m *message) {
			m.ctx = count(0xf0, 16)
			m.header = `{"alg":"HS256","ctx":"` + strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(std64(m.ctx)), "=") + `","kdf_ver":2}`
		}),
		bad("ctx-number", "The ctx is a number.", "malformed", head(`{"alg":"HS256","ctx":1,"kdf_ver":2}`)),
		bad("kdf-ver-true", "kdf_ver is true.", "malformed", head(`{"alg":"HS256","ctx":"`+c+`","kdf_ver":true}`)),
		bad("kdf-ver-null", "kdf_ver is null.", "malformed", head(`{"alg":"HS256","ctx":"`+c+`","kdf_ver":null}`)),
		bad("kdf-ver-twice", "kdf_ver stands twice.", "malformed", head(`{"alg":"HS256","ctx":"`+c+`","kdf_ver":1,"kdf_ver":2}`)),
		bad("no-prt", "No refresh_token.", "claims", claim(`"refresh_token":"`+oldPRT+`",`, "")),
		bad("iss", "iss is not the broker.", "claims", claim("aad:brokerplugin", "aad:other")),
		bad("grant-type", "grant_type is password.", "claims", claim(`"grant_type":"refresh_token"`, `"grant_type":"password"`)),
		bad("password-alone", "A password without a user name.", "claims", claim(`"win_ver"`, `"password":"x","win_ver"`)),
		bad("cookie", "A PRT cookie in place of a request.", "claims", func(m *message) { m.payload = cookieClaims }),
	}
}

const tokenClaims = `{"client_id":"d3590ed6-52b3-4102-aeff-aad2292ab01c","scope":"openid","resource":"https://graph.microsoft.com","refresh_token":"` + oldPRT + `","grant_type":"refresh_token","iss":"aad:brokerplugin","aud":"login.microsoftonline.com","redirect_uri":"ms-appx-web://Microsoft.AAD.BrokerPlugin/d3590ed6-52b3-4102-aeff-aad2292ab01c","request_nonce":"` + nonceA + `","iat":"1780315200","exp":"1780318800","win_ver":"10.0.19041.868"}`

// tokenCases are requests for an application's token by a PRT, or by the
// application's own refresh token when that was issued through the PRT.
func tokenCases(k keys) []vector {
	good := message{ctx: ctx24(), kdfVer: 2, payload: tokenClaims, key: k.session, label: kdfLabel}
	told := func(m message, change ...string) map[string]string {
		r := m.result("client_id", "d3590ed6-52b3-4102-aeff-aad2292ab01c", "resource", "https://graph.microsoft.com", "refresh_token", oldPRT, "request_nonce", nonceA, "wants_prt", "false")
		for i := 0; i < len(change); i += 2 {
			if r[change[i]] = change[i+1]; change[i+1] == "" {
				delete(r, change[i])
			}
		}
		return r
	}
	with := func(from, to string) message {
		m := good
		m.payload = strings.Replace(m.payload, from, to, 1)
		return m
	}
	old := message{ctx: ctx32(), payload: tokenClaims, key: k.session, label: kdfLabel}
	both, bare, own := with(`"scope":"openid"`, `"scope":"openid aza"`), with(`"resource":"https://graph.microsoft.com",`, ""), with(oldPRT, brokerRT)
	numbers := with(`"iat":"1780315200","exp":"1780318800"`, `"iat":1780315200,"exp":1780318800`)
	bad := func(name, what string, m message) vector {
		return m.vector("app_token_request", name, what, "claims", nil)
	}
	wrongKey := good
	wrongKey.key = count(0x20, 32)
	return []vector{
		good.vector("app_token_request", "kdf2", "A token for an application by the PRT; times are strings.", accept, told(good)),
		old.vector("app_token_request", "kdf1", "The same, signed by version 1.", accept, told(old)),
		numbers.vector("app_token_request", "numbers", "The same with times as numbers.", accept, told(numbers)),
		both.vector("app_token_request", "with-prt", "The scope has aza: a new PRT is wanted as well.", accept, told(both, "wants_prt", "true")),
		bare.vector("app_token_request", "no-resource", "No resource: an ID token and a refresh token are wanted.", accept, told(bare, "resource", "")),
		own.vector("app_token_request", "own-refresh-token", "By the application's own refresh token, signed with the session key of its PRT.", accept, told(own, "refresh_token", brokerRT)),
		wrongKey.vector("app_token_request", "other-session", "Signed with another session key.", "signature", nil),
		bad("client-id", "client_id is no GUID.", with("d3590ed6-52b3-4102-aeff-aad2292ab01c", "office")),
		bad("exp-before-iat", "exp is before iat.", with("1780318800", "1780315199")),
		bad("exp-fraction", "exp is no whole number.", with(`"1780318800"`, "1780318800.5")),
		bad("no-openid", "The scope lacks openid.", with(`"scope":"openid"`, `"scope":"profile"`)),
		bad("no-refresh-token", "refresh_token is null.", with(`"`+oldPRT+`"`, "null")),
		bad("resource-list", "resource is a list.", with(`"https://graph.microsoft.com"`, `["https://graph.microsoft.com"]`)),
	}
}

// cookieClaims are those of section "Key derivation" of the README beside the
// package: the values were computed by others.
const cookieClaims = `{"refresh_token":"0.prt.test","is_primary":"true","request_nonce":"n0nce"}`

func cookieCases(k keys) []vector {
	good := message{ctx: ctx24(), kdfVer: 2, payload: cookieClaims, key: k.session, label: kdfLabel}
	with := func(ver int, payload string) message {
		m := good
		m.kdfVer, m.payload = ver, payload
		return m
	}
	taken := func(name, what string, m message, more ...string) vector {
		return m.vector("prt_cookie", name, what, accept, m.result(more...))
	}
	bad := func(name, what, expect string, m message) vector {
		return m.vector("prt_cookie", name, what, expect, nil)
	}
	prt := []string{"refresh_token", "0.prt.test", "is_primary", "true"}
	nonced := append(prt[:4:4], "request_nonce", "n0nce")
	iat := `{"refresh_token":"0.prt.test","is_primary":"true","iat":"1780315200"}`
	linux := with(0, `{"refresh_token":"0.prt.test","request_nonce":"n0nce","ua_client_id":null,"ua_redirect_uri":null,"x_client_platform":null,"win_ver":null,"windows_api_version":"2.0.1"}`)
	linux.ctx = ctx32()
	other, one := good, with(0, cookieClaims)
	other.key = count(0x20, 32)
	parts := strings.Split(good.compact(), ".")
	return []vector{
		taken("kdf1", "A cookie by version 1.", one, nonced...),
		taken("kdf2", "A cookie by version 2.", good, nonced...),
		taken("iat", "The old form: a time and no nonce. Whether it is good enough is policy.", with(2, iat), append(prt[:4:4], "iat", "1780315200")...),
		taken("iat-number", "The time as a number.", with(2, strings.Replace(iat, `"1780315200"`, "1780315200", 1)), append(prt[:4:4], "iat", "1780315200")...),
		taken("libhimmelblau", "A cookie as libhimmelblau writes it: version 1, no is_primary, null claims.", linux, "refresh_token", "0.prt.test", "is_primary", "false", "request_nonce", "n0nce"),
		bad("other-session", "Signed with another session key.", "signature", other),
		sessionVector("prt_cookie", "downgrade", "kdf_ver was taken out of a cookie of version 2.", "signature", url64([]byte(one.head()))+"."+parts[1]+"."+parts[2], nil),
		sessionVector("prt_cookie", "unsigned", "alg is none and there is no signature.", "algorithm", compact(`{"alg":"none","ctx":"`+std64(good.ctx)+`"}`, cookieClaims, unsigned), nil),
		bad("no-prt", "No refresh_token.", "claims", with(2, `{"is_primary":"true","request_nonce":"n0nce"}`)),
		bad("is-primary", "is_primary is neither true nor false.", "claims", with(2, strings.Replace(cookieClaims, `"true"`, `"yes"`, 1))),
		bad("iat-negative", "iat is before 1970.", "claims", with(2, strings.Replace(iat, `"1780315200"`, "-1", 1))),
		bad("renewal", "A renewal in place of a cookie: the same key signs both.", "claims", with(2, renewalClaims)),
	}
}
