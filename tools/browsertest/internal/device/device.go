// Package device is a joined device with a Primary Refresh Token: what a browser on
// it sends along when its user signs in.
//
// What lives here: the other side of the protocol, from the documents and by code of
// its own: it shares none with the product. What never may: a shortcut into the
// server. The tests of the module are the only callers.
package device

import (
	"bytes"
	"context"
	"crypto"
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
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	broker    = "29d9ed98-a469-4536-ade2-f981bc1d605e"
	signIn    = "38aa3b87-a06d-4817-b275-7a316988d93b"
	register  = "urn:ms-drs:enterpriseregistration.windows.net"
	enrolHost = "enterpriseregistration.windows.net"
	jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	label     = "AzureAD-SecureConversation"

	keyBits, contextLength = 2048, 24
	maxBody                = 1 << 20
)

// Config says which tenant the device joins, for whom.
type Config struct {
	// HTTP reaches Login and the registration service.
	HTTP  *http.Client
	Login string
	// User joins the device, and signs in to it.
	User, Password string
}

// Device is joined, and its user is signed in.
type Device struct {
	// ID of the device object.
	ID string

	cfg         Config
	key         *rsa.PrivateKey
	transport   *rsa.PrivateKey
	certificate []byte
	prt         string
	session     []byte
}

// Join registers a device and signs its user in with the password.
func Join(ctx context.Context, cfg Config) (*Device, error) {
	d := &Device{cfg: cfg}
	var err error
	if d.key, err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
		return nil, err
	}
	if d.transport, err = rsa.GenerateKey(rand.Reader, keyBits); err != nil {
		return nil, err
	}
	if err := d.enrol(ctx); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if err := d.logOn(ctx); err != nil {
		return nil, fmt.Errorf("sign in at the device: %w", err)
	}
	return d, nil
}

func (d *Device) token(ctx context.Context, pairs ...string) (map[string]any, error) {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return d.post(ctx, "https://"+d.cfg.Login+"/common/oauth2/token", "application/x-www-form-urlencoded", "", []byte(form.Encode()))
}

func (d *Device) post(ctx context.Context, address, kind, bearer string, body []byte) (map[string]any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := d.cfg.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.500s", address, res.Status, raw)
	}
	var out map[string]any
	return out, json.Unmarshal(raw, &out)
}

func str(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

// enrol is the registration of MS-DVRJ, as clients speak it today: JSON, version 2.0.
func (d *Device) enrol(ctx context.Context) error {
	access, err := d.token(ctx, "client_id", broker, "grant_type", "password", "resource", register, "username", d.cfg.User, "password", d.cfg.Password)
	if err != nil {
		return err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "7E980AD9-B86D-4306-9425-9AC066FB014A"},
	}, d.key)
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(d.cfg.User, "@")
	body, err := json.Marshal(map[string]any{
		"CertificateRequest": map[string]string{"Type": "pkcs10", "Data": base64.StdEncoding.EncodeToString(csr)},
		"TransportKey":       base64.StdEncoding.EncodeToString(rsa1(&d.transport.PublicKey)),
		"TargetDomain":       domain, "DeviceType": "Windows", "OSVersion": "10.0.26100.1", "DeviceDisplayName": "BROWSER", "JoinType": 0,
		"attributes": map[string]string{"ReuseDevice": "true", "ReturnClientSid": "true"},
	})
	if err != nil {
		return err
	}
	out, err := d.post(ctx, "https://"+enrolHost+"/EnrollmentServer/device/?api-version=2.0", "application/json", str(access, "access_token"), body)
	if err != nil {
		return err
	}
	inner, _ := out["Certificate"].(map[string]any)
	if d.certificate, err = base64.StdEncoding.DecodeString(str(inner, "RawBody")); err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(d.certificate)
	if err != nil {
		return err
	}
	d.ID = cert.Subject.CommonName
	return nil
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

func (d *Device) nonce(ctx context.Context) (string, error) {
	out, err := d.token(ctx, "grant_type", "srv_challenge")
	return str(out, "Nonce"), err
}

// logOn asks for a PRT with the password (MS-OAPXBC section 3.1.5.1.2) and opens
// the session key.
func (d *Device) logOn(ctx context.Context) error {
	nonce, err := d.nonce(ctx)
	if err != nil {
		return err
	}
	payload, err := json.Marshal(map[string]any{
		"client_id": signIn, "request_nonce": nonce, "scope": "openid aza ugs", "grant_type": "password", "username": d.cfg.User, "password": d.cfg.Password,
		"group_sids": []string{}, "win_ver": "10.0.26100.1",
	})
	if err != nil {
		return err
	}
	header := `{"alg":"RS256","typ":"JWT","kdf_ver":2,"x5c":"` + base64.StdEncoding.EncodeToString(d.certificate) + `"}`
	input := part([]byte(header)) + "." + part(payload)
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, d.key, crypto.SHA256, sum[:])
	if err != nil {
		return err
	}
	out, err := d.token(ctx, "windows_api_version", "2.2", "grant_type", jwtBearer, "request", input+"."+part(signature), "client_info", "1")
	if err != nil {
		return err
	}
	jwe := strings.Split(str(out, "session_key_jwe"), ".")
	if len(jwe) != 5 {
		return fmt.Errorf("the answer has no session key")
	}
	wrapped, err := base64.RawURLEncoding.DecodeString(jwe[1])
	if err != nil {
		return err
	}
	d.prt = str(out, "refresh_token")
	d.session, err = rsa.DecryptOAEP(sha1.New(), nil, d.transport, wrapped, nil)
	return err
}

// Cookie is the value of x-ms-RefreshTokenCredential for an address. It holds the
// nonce that the address brings as sso_nonce, or one that is fetched (MS-OAPXBC
// section 3.2.5.1.2: the server refuses a cookie without).
func (d *Device) Cookie(ctx context.Context, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	nonce := u.Query().Get("sso_nonce")
	if nonce == "" {
		if nonce, err = d.nonce(ctx); err != nil {
			return "", err
		}
	}
	payload, err := json.Marshal(map[string]any{"refresh_token": d.prt, "is_primary": "true", "iat": time.Now().Unix(), "request_nonce": nonce})
	if err != nil {
		return "", err
	}
	random := make([]byte, contextLength)
	_, _ = rand.Read(random) // never fails
	header := `{"alg":"HS256","typ":"JWT","kdf_ver":2,"ctx":"` + base64.StdEncoding.EncodeToString(random) + `"}`
	input := part([]byte(header)) + "." + part(payload)
	mac := hmac.New(sha256.New, derive(d.session, sha256.Sum256(slices.Concat(random, payload))))
	mac.Write([]byte(input))
	return input + "." + part(mac.Sum(nil)), nil
}

func part(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// derive is NIST SP 800-108 in counter mode, one block of HMAC with SHA-256.
func derive(key []byte, context [sha256.Size]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("\x00\x00\x00\x01" + label + "\x00"))
	h.Write(context[:])
	h.Write([]byte{0, 0, 1, 0})
	return h.Sum(nil)
}
