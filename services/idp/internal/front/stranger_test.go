package front_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // OAEP with SHA-1 is what the protocol says
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp"
)

const (
	alice, alicePassword = "alice@contoso.test", "correct horse battery staple"
	mia, miaPassword     = "mia@contoso.test", "two factors are better"

	broker, signInClient, azureCLI = "29d9ed98-a469-4536-ade2-f981bc1d605e", "38aa3b87-a06d-4817-b275-7a316988d93b", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	drsResource                    = "urn:ms-drs:enterpriseregistration.windows.net"
	brokerURI                      = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"
)

// testKeys are made once: a key takes longer than a test.
var testKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 4)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], _ = rsa.GenerateKey(rand.Reader, 2048) })
	}
	wg.Wait()
	return keys
})

// stranger is a client that shares no code with us: what it sends is written out
// here, and what comes back is taken apart here.
type stranger struct {
	service *idp.Service
	handler http.Handler
}

// shared is one provider for the tests that want nothing special of it: to make
// one takes a second.
var shared = sync.OnceValues(func() (*idp.Service, error) { return idp.New(idp.Config{TokenSigner: testKeys()[0]}) })

// alone asks whole for a provider that no other test uses.
func alone(*idp.Config) {}

// whole is the identity provider behind its front: the shared one, or one of its
// own when there is something to change.
func whole(t testing.TB, change func(*idp.Config)) *stranger {
	t.Helper()
	if change == nil {
		s, err := shared()
		if err != nil {
			t.Fatal(err)
		}
		return &stranger{service: s, handler: s.Handler()}
	}
	cfg := idp.Config{TokenSigner: testKeys()[0]}
	change(&cfg)
	s, err := idp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &stranger{service: s, handler: s.Handler()}
}

// send reads a request from its bytes as a server does, and has it answered.
func (s *stranger) send(t testing.TB, request string) reply {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wireForm(request))))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	resp := w.Result()
	if resp.Header.Get("Content-Length") == "" {
		t.Error("the answer has no Content-Length")
	}
	return reply{resp, w.Body.String()}
}

// str is a member that is a string.
func (r reply) str(t testing.TB, name string) string {
	t.Helper()
	var s string
	if err := json.Unmarshal([]byte(r.member(t, name)), &s); err != nil {
		t.Fatalf("%s is no string: %.300s", name, r.text)
	}
	return s
}

func form(pairs ...string) string {
	var b []string
	for i := 0; i < len(pairs); i += 2 {
		b = append(b, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
	}
	return strings.Join(b, "&")
}

// v1 and v2 post to the token endpoints.
func (s *stranger) v1(t testing.TB, pairs ...string) reply {
	t.Helper()
	return s.send(t, post("/common/oauth2/token", form(pairs...)))
}

func (s *stranger) nonce(t testing.TB) string {
	t.Helper()
	return s.send(t, "POST /common/oauth2/token HTTP/1.1\nHost: "+login+"\n\ngrant_type=srv_challenge").str(t, "Nonce")
}

// claimsOf reads the payload of a token, in the alphabet of its own.
func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %.40s", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// machine is a device of the stranger.
type machine struct {
	*stranger
	dk, tk *rsa.PrivateKey
	cert   []byte
	id     string
}

// rsa1 is a BCRYPT_RSAKEY_BLOB.
func rsa1(k *rsa.PublicKey) []byte {
	n := k.N.Bytes()
	b := []byte("RSA1")
	for _, v := range []int{k.N.BitLen(), 3, len(n), 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return append(append(b, 1, 0, 1), n...)
}

// join registers a device as roadtx does.
func (s *stranger) join(t testing.TB, user, password string) *machine {
	t.Helper()
	return s.joinAs(t, "Windows", user, password)
}

func (s *stranger) joinAs(t testing.TB, kind, user, password string) *machine {
	t.Helper()
	a := s.v1(t, "client_id", broker, "grant_type", "password", "resource", drsResource, "username", user, "password", password)
	wantStatus(t, a, 200)
	m := &machine{stranger: s, dk: testKeys()[1], tk: testKeys()[2]}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "7E980AD9-B86D-4306-9425-9AC066FB014A"}}, m.dk)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]any{
		"CertificateRequest": map[string]string{"Type": "pkcs10", "Data": base64.StdEncoding.EncodeToString(csr)}, "TransportKey": base64.StdEncoding.EncodeToString(rsa1(&m.tk.PublicKey)),
		"TargetDomain": "contoso.test", "DeviceType": kind, "OSVersion": "10.0.19041.928", "DeviceDisplayName": "PC", "JoinType": 0,
		"attributes": map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"},
	})
	r := s.send(t, device("POST", "device/?api-version=2.0", "\nAuthorization: Bearer "+a.str(t, "access_token"), string(body)))
	wantStatus(t, r, 200)
	var out struct{ Certificate struct{ RawBody string } }
	if err := json.Unmarshal([]byte(r.text), &out); err != nil {
		t.Fatal(err)
	}
	if m.cert, err = base64.StdEncoding.DecodeString(out.Certificate.RawBody); err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(m.cert)
	if err != nil {
		t.Fatal(err)
	}
	m.id = cert.Subject.CommonName
	return m
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signed is a token under the device key, from its two texts.
func signed(t testing.TB, key *rsa.PrivateKey, header, payload string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

// asString and asArray are the two ways to write x5c.
func (m *machine) asString(more string) string {
	return `{"alg":"RS256","typ":"JWT","x5c":"` + base64.StdEncoding.EncodeToString(m.cert) + `"` + more + `}`
}

func (m *machine) asArray(more string) string {
	return `{"alg":"RS256","typ":"JWT","x5c":["` + base64.StdEncoding.EncodeToString(m.cert) + `"]` + more + `}`
}

// askPRT asks with a password.
func (m *machine) askPRT(t testing.TB, header, user, password string) reply {
	t.Helper()
	payload, _ := json.Marshal(map[string]any{
		"client_id": signInClient, "request_nonce": m.nonce(t), "scope": "openid aza ugs", "win_ver": nil, "group_sids": []string{},
		"grant_type": "password", "username": user, "password": password,
	})
	return m.v1(t, "windows_api_version", "2.2", "grant_type", jwtBearer, "request", signed(t, m.dk, header, string(payload)), "client_info", "1", "tgt", "True")
}

// held is a PRT with its session key.
type held struct {
	m   *machine
	prt string
	key []byte
}

func (m *machine) first(t testing.TB, header, user, password string) *held {
	t.Helper()
	r := m.askPRT(t, header, user, password)
	wantStatus(t, r, 200)
	return &held{m: m, prt: r.str(t, "refresh_token"), key: m.unwrap(t, r.str(t, "session_key_jwe"))}
}

// unwrap undoes RSA-OAEP with SHA-1 over the second part of a session_key_jwe.
func (m *machine) unwrap(t testing.TB, jwe string) []byte {
	t.Helper()
	wrapped, err := base64.RawURLEncoding.DecodeString(strings.Split(jwe, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.DecryptOAEP(sha1.New(), nil, m.tk, wrapped, nil)
	if err != nil || len(key) != 32 {
		t.Fatalf("%v, %d bytes", err, len(key))
	}
	return key
}

// derive is NIST SP 800-108 in counter mode, one block.
func derive(key, context []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("\x00\x00\x00\x01AzureAD-SecureConversation\x00"))
	h.Write(context)
	h.Write([]byte{0, 0, 1, 0})
	return h.Sum(nil)
}

// signed is a token under the session key, with version 1 or 2 of the derivation
// and a context of some size.
func (h *held) signed(kdf, size int, payload string) string {
	ctx := make([]byte, size)
	_, _ = rand.Read(ctx)
	header, context := `{"alg":"HS256","typ":"JWT","ctx":"`+base64.StdEncoding.EncodeToString(ctx)+`"`, ctx
	if kdf == 2 {
		header += `,"kdf_ver":2`
		sum := sha256.Sum256(append(bytes.Clone(ctx), payload...))
		context = sum[:]
	}
	input := b64([]byte(header+"}")) + "." + b64([]byte(payload))
	mac := hmac.New(sha256.New, derive(h.key, context))
	mac.Write([]byte(input))
	return input + "." + b64(mac.Sum(nil))
}

// opened undoes an answer under the session key as libhimmelblau does: CBC, and
// no tag, under a header that says GCM.
func (h *held) opened(t testing.TB, r reply) map[string]any {
	t.Helper()
	wantStatus(t, r, 200)
	parts := strings.Split(r.text, ".")
	if len(parts) != 5 || parts[1] != "" || parts[4] != "" {
		t.Fatalf("not such an answer: %.200s", r.text)
	}
	var header struct{ Alg, Enc, Ctx string }
	raw, _ := base64.RawURLEncoding.DecodeString(parts[0])
	if err := json.Unmarshal(raw, &header); err != nil || header.Alg != "dir" || header.Enc != "A256GCM" {
		t.Fatalf("%s", raw)
	}
	ctx, _ := base64.StdEncoding.DecodeString(header.Ctx)
	iv, _ := base64.RawURLEncoding.DecodeString(parts[2])
	text, _ := base64.RawURLEncoding.DecodeString(parts[3])
	if len(ctx) == 0 || len(iv) != 16 || len(text) == 0 || len(text)%16 != 0 {
		t.Fatalf("ctx %d, iv %d, text %d bytes", len(ctx), len(iv), len(text))
	}
	block, err := aes.NewCipher(derive(h.key, ctx))
	if err != nil {
		t.Fatal(err)
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, text)
	var m map[string]any
	if err := json.Unmarshal(text[:len(text)-int(text[len(text)-1])], &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// payload is a claim set that uses the PRT.
func (h *held) payload(t testing.TB, more map[string]any) string {
	t.Helper()
	c := map[string]any{
		"client_id": signInClient, "scope": "openid aza ugs", "resource": nil, "refresh_token": h.prt, "grant_type": "refresh_token",
		"iss": "aad:brokerplugin", "aud": "login.microsoftonline.com", "request_nonce": h.m.nonce(t), "win_ver": nil,
	}
	for k, v := range more {
		c[k] = v
	}
	b, _ := json.Marshal(c)
	return string(b)
}

func (h *held) use(t testing.TB, request string) reply {
	t.Helper()
	return h.m.v1(t, "windows_api_version", "2.2", "grant_type", jwtBearer, "request", request, "client_info", "1")
}

// app is an app-token request of an application.
func (h *held) app(t testing.TB, kdf, size int) reply {
	t.Helper()
	return h.use(t, h.signed(kdf, size, h.payload(t, map[string]any{
		"client_id": azureCLI, "scope": "openid", "resource": "https://graph.microsoft.com", "redirect_uri": "ms-appx-web://Microsoft.AAD.BrokerPlugin/" + azureCLI,
	})))
}

// isOpaque is the alphabet of what clients put anywhere without escaping it.
func isOpaque(s string) bool { return regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(s) }
