// Package sign says that a digest is an image of ours: the payload of "simple signing" as
// cosign uses it (sigstore, SIGNATURE_SPEC), under a key on P-256. A signature is the
// ASN.1 form over the SHA-256 of the payload, in base64, which openssl verifies too.
// What never may live here: a key other than the one in the file that the caller names.
// Callers are the commands sign and verify.
package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// payloadType is what the payload says that it is.
const payloadType = "cosign container image signature"

type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]string `json:"optional"`
}

// Sign returns the payload for an image, as docker.io/lockstep/idp and sha256:..., and its
// signature in base64. The facts are optional, as the commit that it was built from.
func Sign(key *ecdsa.PrivateKey, reference, digest string, facts map[string]string) (body, signature []byte, err error) {
	var p payload
	p.Critical.Identity.Reference, p.Critical.Image.Digest, p.Critical.Type, p.Optional = reference, digest, payloadType, facts
	if body, err = json.Marshal(p); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(body)
	raw, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, nil, err
	}
	return body, []byte(base64.StdEncoding.EncodeToString(raw)), nil
}

// Verify reports whether the payload is signed and speaks of this image.
func Verify(key *ecdsa.PublicKey, body, signature []byte, reference, digest string) error {
	raw, err := base64.StdEncoding.DecodeString(string(signature))
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	sum := sha256.Sum256(body)
	if !ecdsa.VerifyASN1(key, sum[:], raw) {
		return errors.New("the signature is not of this key")
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if p.Critical.Type != payloadType || p.Critical.Identity.Reference != reference || p.Critical.Image.Digest != digest {
		return fmt.Errorf("the signature is for %s@%s, and this is %s@%s", p.Critical.Identity.Reference, p.Critical.Image.Digest, reference, digest)
	}
	return nil
}

// Key reads a key in PKCS#8, or makes one with mode 0600 when there is no file, and
// writes the public half beside it, with .pub at the end.
func Key(path string) (*ecdsa.PrivateKey, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return newKey(path)
	}
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(raw)
	if b == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is no key on P-256", path)
	}
	return key, nil
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return nil, err
	}
	return key, os.WriteFile(path+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)
}

// PublicKey reads a public key.
func PublicKey(path string) (*ecdsa.PublicKey, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(raw)
	if b == nil {
		return nil, fmt.Errorf("%s holds no PEM", path)
	}
	parsed, err := x509.ParsePKIXPublicKey(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is no key on P-256", path)
	}
	return key, nil
}
