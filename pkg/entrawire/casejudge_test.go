package entrawire_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/kdf"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// errHeader says that the header lacks what the step needs.
var errHeader = errors.New("header lacks a member that this step needs")

type judge func(*testing.T, vector) (map[string]string, error)

// judges are the readers of this package by kind: what a server or a device does
// with a message before it asks its own records.
func judges() map[string]judge {
	return map[string]judge{
		"prt_request":        judgePRTRequest,
		"device_proof":       judgeDeviceProof,
		"renewal":            judgeSession,
		"app_token_request":  judgeSession,
		"prt_cookie":         judgeCookie,
		"session_key_jwe":    judgeSessionKey,
		"answer":             judgeAnswer,
		"hello_assertion":    judgeHello,
		"device_certificate": judgeCertificate,
		"transport_key":      judgeTransportKey,
	}
}

// classOf maps an error to its class; an error that fits none fails the test.
func classOf(t *testing.T, kind string, err error) string {
	t.Helper()
	var field *entrawire.FieldError
	switch {
	case err == nil:
		return accept
	case errors.Is(err, entrawire.ErrAnswer):
		return "answer"
	case errors.Is(err, entrawire.ErrSessionKeyJWE):
		return "session_key"
	case errors.Is(err, entrawire.ErrRSA1):
		return "key"
	case errors.Is(err, entrawire.ErrDeviceCertificate), errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.CertificateInvalidError)):
		return "certificate"
	case errors.Is(err, errHeader), errors.Is(err, entrawire.ErrNoContext), errors.Is(err, entrawire.ErrHelloKey):
		return "header"
	case errors.As(err, &field):
		return "claims"
	case errors.Is(err, jose.ErrAlgorithm):
		return "algorithm"
	case errors.Is(err, jose.ErrSignature):
		return "signature"
	case errors.Is(err, jose.ErrMalformed):
		return "malformed"
	}
	t.Fatalf("%s: %v is of no class", kind, err)
	return ""
}

// claims is what every claim set of the protocol can do.
type claims interface {
	Validate() error
}

func read[C claims](tok *jose.Token, into C) error {
	if err := tok.Claims(into); err != nil {
		return err
	}
	return into.Validate()
}

// deviceSigned parses a token that a device key signs, and checks the certificate
// in it and the signature by that certificate's key.
func deviceSigned(t *testing.T, v vector) (*jose.Token, entrawire.DeviceIdentity, error) {
	t.Helper()
	var id entrawire.DeviceIdentity
	tok, err := jose.Parse(v.Input)
	if err != nil {
		return nil, id, err
	}
	if tok.Header.Alg != jose.RS256 {
		return nil, id, jose.ErrAlgorithm
	}
	if len(tok.Header.X5C) != 1 {
		return nil, id, errHeader
	}
	cert, id, err := certificate(t, v, tok.Header.X5C[0])
	if err != nil {
		return nil, id, err
	}
	return tok, id, tok.VerifyRS256(cert.PublicKey.(*rsa.PublicKey))
}

// certificate checks a device certificate against the issuer that is given, at
// the time that is given.
func certificate(t *testing.T, v vector, der []byte) (*x509.Certificate, entrawire.DeviceIdentity, error) {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, entrawire.DeviceIdentity{}, errors.Join(entrawire.ErrDeviceCertificate, err)
	}
	id, err := entrawire.ParseDeviceCertificate(cert)
	if err != nil {
		return nil, id, err
	}
	ca, err := x509.ParseCertificate(unb64(t, v.Given["issuer_certificate_b64"]))
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, v.Given["time"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return cert, id, err
}

func judgePRTRequest(t *testing.T, v vector) (map[string]string, error) {
	tok, id, err := deviceSigned(t, v)
	if err != nil {
		return nil, err
	}
	var c entrawire.PRTRequest
	if err := read(tok, &c); err != nil {
		return nil, err
	}
	return set(map[string]string{
		"device_id": string(id.DeviceID), "kdf_ver": strconv.Itoa(tok.Header.KDFVer), "client_id": c.ClientID, "grant_type": c.GrantType,
		"request_nonce": c.RequestNonce, "username": c.Username, "password": c.Password.Reveal(),
		"assertion": c.Assertion.Reveal(), "refresh_token": c.RefreshToken.Reveal(),
	}), nil
}

func judgeDeviceProof(t *testing.T, v vector) (map[string]string, error) {
	tok, id, err := deviceSigned(t, v)
	if err != nil {
		return nil, err
	}
	var c entrawire.DeviceProof
	if err := read(tok, &c); err != nil {
		return nil, err
	}
	if c.GrantType != entrawire.GrantDeviceAuth {
		return nil, &entrawire.FieldError{Shape: "device proof", Field: "grant_type", Problem: "is not that of a sign-in"}
	}
	return set(map[string]string{"device_id": string(id.DeviceID), "grant_type": c.GrantType, "request_nonce": c.RequestNonce}), nil
}

// sessionSigned parses a token and checks its HMAC; it also tells the derived key.
func sessionSigned(t *testing.T, v vector) (*jose.Token, map[string]string, error) {
	t.Helper()
	tok, err := jose.Parse(v.Input)
	if err != nil {
		return nil, nil, err
	}
	key := secret.NewBytes(unhex(t, v.Given["session_key_hex"]))
	if err := entrawire.VerifySession(tok, key); err != nil {
		return nil, nil, err
	}
	context := tok.Header.Ctx
	if tok.Header.KDFVer == 2 {
		context = kdf.ContextV2(context, tok.Payload)
	}
	return tok, map[string]string{
		"context_hex": hex.EncodeToString(context), "derived_key_hex": hex.EncodeToString(kdf.Derive(key, context).Reveal()),
		"kdf_ver": strconv.Itoa(tok.Header.KDFVer), "payload": string(tok.Payload),
	}, nil
}

func judgeSession(t *testing.T, v vector) (map[string]string, error) {
	tok, result, err := sessionSigned(t, v)
	if err != nil {
		return nil, err
	}
	var c entrawire.SessionRequest
	if err := read(tok, &c); err != nil {
		return nil, err
	}
	result["client_id"], result["resource"], result["refresh_token"] = c.ClientID, c.Resource, c.RefreshToken.Reveal()
	result["request_nonce"], result["wants_prt"] = c.RequestNonce, strconv.FormatBool(c.WantsPRT())
	return set(result), nil
}

func judgeCookie(t *testing.T, v vector) (map[string]string, error) {
	tok, result, err := sessionSigned(t, v)
	if err != nil {
		return nil, err
	}
	var c entrawire.Cookie
	if err := read(tok, &c); err != nil {
		return nil, err
	}
	result["refresh_token"], result["request_nonce"], result["is_primary"] = c.RefreshToken.Reveal(), c.RequestNonce, strconv.FormatBool(c.IsPrimary)
	if c.Iat != 0 {
		result["iat"] = strconv.FormatInt(c.Iat, 10)
	}
	return set(result), nil
}

func judgeSessionKey(t *testing.T, v vector) (map[string]string, error) {
	key, err := entrawire.UnwrapSessionKey(privateKey(t, v.Given["transport_key_pkcs8_b64"]).(crypto.Decrypter), v.Input)
	if err != nil {
		return nil, err
	}
	return map[string]string{"session_key_hex": hex.EncodeToString(key.Reveal())}, nil
}

func judgeAnswer(t *testing.T, v vector) (map[string]string, error) {
	a, err := entrawire.ParseAnswer(v.Input)
	if err != nil {
		return nil, err
	}
	derived := kdf.Derive(secret.NewBytes(unhex(t, v.Given["session_key_hex"])), a.Ctx)
	plain, err := a.Open(derived)
	if err != nil {
		return nil, err
	}
	var into entrawire.Shape
	switch carries := v.Given["carries"]; carries {
	case "prt_answer":
		into = new(entrawire.PRTAnswer)
	case "token_answer":
		into = new(entrawire.TokenAnswer)
	case "bytes":
	default:
		t.Fatalf("nobody here reads an answer that carries %q", carries)
	}
	if into != nil {
		if err := a.OpenInto(derived, into); err != nil {
			return nil, err
		}
	}
	return map[string]string{"plaintext": string(plain), "derived_key_hex": hex.EncodeToString(derived.Reveal())}, nil
}

func judgeHello(t *testing.T, v vector) (map[string]string, error) {
	tok, err := jose.Parse(v.Input)
	if err != nil {
		return nil, err
	}
	pub, err := entrawire.ParseRSA1(unb64(t, v.Given["hello_key_rsa1_b64"]))
	if err != nil {
		t.Fatal(err)
	}
	if err := entrawire.VerifyHello(tok, pub); err != nil {
		return nil, err
	}
	var c entrawire.HelloAssertion
	if err := read(tok, &c); err != nil {
		return nil, err
	}
	return set(map[string]string{
		"key_id": tok.Header.Kid, "iss": c.Iss, "iat": strconv.FormatInt(c.Iat, 10), "exp": strconv.FormatInt(c.Exp, 10), "request_nonce": c.RequestNonce,
	}), nil
}

func judgeCertificate(t *testing.T, v vector) (map[string]string, error) {
	_, id, err := certificate(t, v, unb64(t, v.Input))
	if err != nil {
		return nil, err
	}
	return set(map[string]string{
		"device_id": string(id.DeviceID), "user_id": string(id.UserID), "tenant_id": string(id.TenantID),
		"join_type": string(id.JoinType), "region": id.Region,
	}), nil
}

func judgeTransportKey(t *testing.T, v vector) (map[string]string, error) {
	pub, err := entrawire.ParseRSA1(unb64(t, v.Input))
	if err != nil {
		return nil, err
	}
	kid, err := entrawire.HelloKeyID(pub)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"modulus_hex": pub.N.Text(16), "exponent": strconv.Itoa(pub.E), "sha256_b64": kid}, nil
}

// set drops the members that are empty.
func set(m map[string]string) map[string]string {
	for name, value := range m {
		if value == "" {
			delete(m, name)
		}
	}
	return m
}

func unb64(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("bad base64 in a vector: %v", err)
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 {
		t.Fatalf("bad hex in a vector: %v", err)
	}
	return b
}

func privateKey(t *testing.T, s string) any {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(unb64(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
