package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// assertion is a client assertion by the application's certificate, as the
// documentation of private_key_jwt at Entra has it.
func (w *world) assertion() (string, error) {
	certs, key, err := certificate()
	if err != nil {
		return "", err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok || len(certs) == 0 {
		return "", errors.New("the application's key is not RSA")
	}
	return w.signAssertion(private, certs[0].Raw)
}

// foreignAssertion says the same by a key that nobody registered.
func (w *world) foreignAssertion() (string, error) {
	certs, _, err := certificate()
	if err != nil {
		return "", err
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	return w.signAssertion(other, certs[0].Raw)
}

func (w *world) signAssertion(key *rsa.PrivateKey, certificate []byte) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
		"aud": w.authority + "/oauth2/v2.0/token", "iss": w.app, "sub": w.app, "jti": uuid.NewString(),
		"nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	sum := sha256.Sum256(certificate)
	t.Header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
	return t.SignedString(key)
}
