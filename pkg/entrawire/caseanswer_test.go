package entrawire_test

import (
	"crypto/rsa"
	"crypto/sha256"
	"strings"
)

const wrapHeader = `{"enc":"A256GCM","alg":"RSA-OAEP"}`

// wrapped is a session_key_jwe; each defect changes one thing.
type wrapped struct {
	header           string
	encrypted        []byte
	key, iv, content []byte
	aad              []byte
}

func (w wrapped) compact() string {
	ciphertext, tag := gcm(w.key, w.iv, w.content, w.aad)
	return strings.Join([]string{url64([]byte(w.header)), url64(w.encrypted), url64(w.iv), url64(ciphertext), url64(tag)}, ".")
}

func sessionKeyCases(k keys) []vector {
	tk := &k.transport.PublicKey
	good := wrapped{header: wrapHeader, encrypted: oaepSHA1(tk, k.session), key: k.session, iv: count(0, 12), content: []byte{0x20}}
	v := func(name, what, expect, input string, result map[string]string) vector {
		return vector{
			Name: "session_key_jwe/" + name, Kind: "session_key_jwe", What: what, Expect: expect,
			Source: "MS-OAPXBC 3.2.5.1.2; a captured answer of Entra (captured_exchange.json)",
			Given:  map[string]string{"transport_key_pkcs8_b64": pkcs8(k.transport), "oaep_seed_hex": hexed(count(0x60, 20))}, Input: input, Result: result,
		}
	}
	key := map[string]string{"session_key_hex": hexed(k.session)}
	bad := func(name, what string, change func(*wrapped)) vector {
		w := good
		change(&w)
		return v(name, what, "session_key", w.compact(), nil)
	}
	head := func(h string) func(*wrapped) { return func(w *wrapped) { w.header = h } }
	parts := strings.Split(good.compact(), ".")
	swapped := good
	swapped.header = `{"alg":"RSA-OAEP","enc":"A256GCM"}`
	return []vector{
		v("entra", "As Entra writes it: the content key is the session key, the tag is over no additional data.", accept, good.compact(), key),
		v("header-order", "The header's two members in the other order.", accept, swapped.compact(), key),
		bad("tag-over-header", "As RFC 7516 has it: the tag is over the header. Entra does not do that.", func(w *wrapped) { w.aad = []byte(url64([]byte(w.header))) }),
		bad("other-transport-key", "Wrapped for another key.", func(w *wrapped) { w.encrypted = oaepSHA1(&k.other.PublicKey, w.key) }),
		bad("oaep-sha256", "Wrapped by OAEP with SHA-256.", func(w *wrapped) { w.encrypted = oaep(tk, sha256.New, count(0x60, 32), w.key) }),
		bad("pkcs1-v15", "Wrapped by PKCS #1 v1.5.", func(w *wrapped) { w.encrypted = pkcs1(tk, w.key) }),
		bad("key-16", "A session key of 16 bytes.", func(w *wrapped) { w.key = w.key[:16]; w.encrypted = oaepSHA1(tk, w.key) }),
		bad("key-other-than-tag", "The tag is by another key than the one that is wrapped.", func(w *wrapped) { w.key = count(0x20, 32) }),
		bad("enc-a128gcm", "enc says A128GCM.", head(`{"enc":"A128GCM","alg":"RSA-OAEP"}`)),
		bad("alg-oaep-256", "alg says RSA-OAEP-256.", head(`{"enc":"A256GCM","alg":"RSA-OAEP-256"}`)),
		bad("header-zip", "The header asks for decompression.", head(`{"enc":"A256GCM","alg":"RSA-OAEP","zip":"DEF"}`)),
		bad("header-alg-twice", "alg stands twice.", head(`{"enc":"A256GCM","alg":"RSA-OAEP","alg":"RSA-OAEP"}`)),
		bad("iv-16", "An IV of 16 bytes.", func(w *wrapped) { w.iv = count(0, 16) }),
		bad("content-2", "Two bytes of content.", func(w *wrapped) { w.content = []byte{0x20, 0x20} }),
		bad("content-other", "The byte of content is 0x10.", func(w *wrapped) { w.content = []byte{0x10} }),
		bad("encrypted-key-short", "The wrapped key lacks its last byte.", func(w *wrapped) { w.encrypted = w.encrypted[:255] }),
		v("four-segments", "No tag segment.", "session_key", strings.Join(parts[:4], "."), nil),
		v("tag-empty", "An empty tag.", "session_key", strings.Join(parts[:4], ".")+".", nil),
		v("padded-segment", "The IV has base64 padding.", "session_key", strings.Join([]string{parts[0], parts[1], parts[2] + "=", parts[3], parts[4]}, "."), nil),
	}
}

// pkcs1 is RFC 8017 7.2.1 with padding of 0x01 bytes.
func pkcs1(pub *rsa.PublicKey, message []byte) []byte {
	em := make([]byte, pub.Size())
	for i := range em {
		em[i] = 1
	}
	em[0], em[1], em[len(em)-len(message)-1] = 0, 2, 0
	copy(em[len(em)-len(message):], message)
	return rawRSA(pub, em)
}

const (
	prtAnswerText   = `{"token_type":"Bearer","expires_in":"1209599","ext_expires_in":"0","expires_on":"1781524799","refresh_token":"0.AXoA.prt-new_1","refresh_token_expires_in":1209599,"id_token":"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30."}`
	tokenAnswerText = `{"token_type":"Bearer","scope":"openid User.Read","expires_in":"3599","ext_expires_in":"3599","expires_on":"1780318799","resource":"https://graph.microsoft.com","access_token":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln","refresh_token":"0.AXoA.rt-app_1","id_token":"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30."}`
)

// sealed is an encrypted answer; each defect changes one thing.
type sealed struct {
	header, encryptedKey, tag string
	ctx, iv, padded           []byte
	carries                   string
	key                       []byte
}

func sealedAnswer(k keys, text, carries string) sealed {
	return sealed{ctx: ctx24(), iv: count(0xa0, 16), padded: pad(text), carries: carries, key: k.session}
}

func (s sealed) head() string {
	if s.header != "" {
		return s.header
	}
	return `{"alg":"dir","enc":"A256GCM","ctx":"` + std64(s.ctx) + `"}`
}

func (s sealed) compact() string {
	text := cbc(derive(s.key, kdfLabel, s.ctx), s.iv, s.padded)
	return url64([]byte(s.head())) + "." + s.encryptedKey + "." + url64(s.iv) + "." + url64(text) + "." + s.tag
}

func answerVector(name, what, expect, carries, input string, result map[string]string) vector {
	return vector{
		Name: "answer/" + name, Kind: "answer", What: what, Expect: expect,
		Source: "MS-OAPXBC 3.1.5.1.3; a captured answer of Entra (captured_exchange.json)",
		Given:  map[string]string{"session_key_hex": hexed(count(0, 32)), "carries": carries}, Input: input, Result: result,
	}
}

func answerCases(k keys) []vector {
	taken := func(name, what, text string, s sealed) vector {
		return answerVector(name, what, accept, s.carries, s.compact(), map[string]string{"plaintext": text, "derived_key_hex": hexed(derive(s.key, kdfLabel, s.ctx))})
	}
	const short = `{"token_type":"Bearer"}`
	spec, long := sealedAnswer(k, prtAnswerText, "prt_answer"), sealedAnswer(k, prtAnswerText, "prt_answer")
	spec.header = `{"alg":"dir","enc":"A256GCM","ctx":"` + std64(spec.ctx) + `","kid":"session"}`
	long.ctx = ctx32()
	full := `{"token_type":"Bearer" }` + strings.Repeat(" ", 8)
	return []vector{
		taken("bytes", "The shape alone; nothing is said about what is inside.", short, sealedAnswer(k, short, "bytes")),
		taken("whole-block", "The plaintext fills its blocks: one more block of padding.", full, sealedAnswer(k, full, "bytes")),
		taken("prt", "The answer to a renewal.", prtAnswerText, sealedAnswer(k, prtAnswerText, "prt_answer")),
		taken("token", "The answer to an app-token request.", tokenAnswerText, sealedAnswer(k, tokenAnswerText, "token_answer")),
		taken("kid", "The header has the kid that the specification has.", prtAnswerText, spec),
		taken("ctx-32", "A ctx of 32 bytes.", prtAnswerText, long),
	}
}

// answerDefects all have one outcome: who could tell them apart could decrypt by asking.
func answerDefects(k keys) []vector {
	good := sealedAnswer(k, prtAnswerText, "prt_answer")
	c := std64(good.ctx)
	bad := func(name, what string, change func(*sealed)) vector {
		s := good
		change(&s)
		return answerVector(name, what, "answer", s.carries, s.compact(), nil)
	}
	head := func(h string) func(*sealed) { return func(s *sealed) { s.header = h } }
	text := func(t string) func(*sealed) { return func(s *sealed) { s.padded = pad(t) } }
	padding := func(change func(b []byte)) func(*sealed) {
		return func(s *sealed) { s.padded = pad(prtAnswerText); change(s.padded) }
	}
	h := url64([]byte(good.head()))
	body, tag := gcm(derive(k.session, kdfLabel, good.ctx), count(0xa0, 12), []byte(prtAnswerText), []byte(h))
	parts := strings.Split(good.compact(), ".")
	return []vector{
		answerVector("plain", "Plain JSON in place of an encrypted answer.", "answer", "prt_answer", prtAnswerText, nil),
		answerVector("real-gcm", "What the header says: AES-256-GCM with a 12-byte IV. Some clients cannot read it, so nobody sends it.", "answer", "prt_answer", h+".."+url64(count(0xa0, 12))+"."+url64(body)+"."+url64(tag), nil),
		bad("other-session", "By another session key.", func(s *sealed) { s.key = count(0x20, 32) }),
		bad("tag", "A tag where there is none.", func(s *sealed) { s.tag = url64(count(0, 16)) }),
		bad("encrypted-key", "An encrypted key where there is none.", func(s *sealed) { s.encryptedKey = url64(count(0, 32)) }),
		answerVector("iv-12", "The IV lacks four bytes.", "answer", "prt_answer", strings.Join([]string{h, "", url64(good.iv[:12]), parts[3], ""}, "."), nil),
		answerVector("cut", "The last byte of the ciphertext is missing.", "answer", "prt_answer", strings.Join([]string{h, "", parts[2], url64(cbc(derive(k.session, kdfLabel, good.ctx), good.iv, good.padded)[:len(good.padded)-1]), ""}, "."), nil),
		answerVector("empty", "No ciphertext.", "answer", "prt_answer", h+".."+parts[2]+"..", nil),
		answerVector("four-segments", "No tag segment.", "answer", "prt_answer", strings.Join(parts[:4], "."), nil),
		bad("padding-zero", "The last byte of the padding is 0.", padding(func(b []byte) { b[len(b)-1] = 0 })),
		bad("padding-17", "The last byte of the padding is 17.", padding(func(b []byte) { b[len(b)-1] = 17 })),
		bad("padding-uneven", "The padding's bytes are not all the same.", padding(func(b []byte) { b[len(b)-2] ^= 1 })),
		bad("enc-cbc", "enc says what is really done.", head(`{"alg":"dir","enc":"A256CBC-HS512","ctx":"`+c+`"}`)),
		bad("alg-a256kw", "alg says A256KW.", head(`{"alg":"A256KW","enc":"A256GCM","ctx":"`+c+`"}`)),
		bad("no-ctx", "The header has no ctx.", head(`{"alg":"dir","enc":"A256GCM"}`)),
		bad("ctx-15", "A ctx of 15 bytes.", func(s *sealed) { s.ctx = count(0, 15) }),
		bad("kid-other", "A kid other than session.", head(`{"alg":"dir","enc":"A256GCM","ctx":"`+c+`","kid":"other"}`)),
		bad("header-more", "A header member that answers do not have.", head(`{"alg":"dir","enc":"A256GCM","ctx":"`+c+`","zip":"DEF"}`)),
		bad("not-json", "What is inside is no JSON.", text("hello")),
		bad("error", "What is inside is an error, which only comes in the clear.", text(`{"error":"invalid_grant"}`)),
		bad("no-prt", "The answer to a renewal brings no PRT.", text(strings.Replace(prtAnswerText, `"refresh_token":"0.AXoA.prt-new_1",`, "", 1))),
		bad("prt-alphabet", "The PRT has a character outside A-Z a-z 0-9 . _ -", text(strings.Replace(prtAnswerText, "prt-new_1", "prt~new_1", 1))),
		bad("prt-twice", "refresh_token stands twice.", text(strings.Replace(prtAnswerText, `"id_token"`, `"refresh_token":"0.B.x","id_token"`, 1))),
		bad("token-type", "token_type is mac.", text(strings.Replace(prtAnswerText, "Bearer", "mac", 1))),
		bad("token-answer", "An app token where a PRT was asked for.", text(strings.Replace(tokenAnswerText, `"refresh_token"`, `"refresh_token_1"`, 1))),
	}
}
