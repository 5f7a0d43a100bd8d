package passkey

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// creation is what is read of PublicKeyCredentialCreationOptionsJSON (WebAuthn Level
// 3, section 5.1.9).
type creation struct {
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Challenge  string `json:"challenge"`
	Parameters []struct {
		Algorithm int `json:"alg"`
	} `json:"pubKeyCredParams"`
	Exclude []descriptor `json:"excludeCredentials"`
}

type descriptor struct {
	ID string `json:"id"`
}

// request is what is read of PublicKeyCredentialRequestOptionsJSON.
type request struct {
	Challenge string       `json:"challenge"`
	RPID      string       `json:"rpId"`
	Allow     []descriptor `json:"allowCredentials"`
}

// registration and assertion are the JSON of PublicKeyCredential (section 5.1.8).
type registration struct {
	ID       string               `json:"id"`
	RawID    string               `json:"rawId"`
	Type     string               `json:"type"`
	Attach   string               `json:"authenticatorAttachment"`
	Response registrationResponse `json:"response"`
	Results  struct{}             `json:"clientExtensionResults"`
}

type registrationResponse struct {
	ClientData  string   `json:"clientDataJSON"`
	Attestation string   `json:"attestationObject"`
	Data        string   `json:"authenticatorData"`
	Transports  []string `json:"transports"`
	Algorithm   int      `json:"publicKeyAlgorithm"`
}

type assertion struct {
	ID       string            `json:"id"`
	RawID    string            `json:"rawId"`
	Type     string            `json:"type"`
	Attach   string            `json:"authenticatorAttachment"`
	Response assertionResponse `json:"response"`
	Results  struct{}          `json:"clientExtensionResults"`
}

type assertionResponse struct {
	ClientData string `json:"clientDataJSON"`
	Data       string `json:"authenticatorData"`
	Signature  string `json:"signature"`
	User       string `json:"userHandle"`
}

// party is the relying party: the host of the origin, or a suffix of it by whole
// labels. Suffixes that are shared by strangers, such as com, have no dot.
func party(origin, rpID string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Hostname() != "localhost" {
		return "", errors.New("passkey: the page is not at a secure origin")
	}
	host := u.Hostname()
	if rpID == "" || rpID == host {
		return host, nil
	}
	if !strings.HasSuffix(host, "."+rpID) || !strings.Contains(rpID, ".") {
		return "", fmt.Errorf("passkey: the relying party %.64q is not the page's own", rpID)
	}
	return rpID, nil
}

// clientData is section 5.8.1's.
func clientData(kind, challenge, origin string) ([]byte, error) {
	if _, err := unbase(challenge); err != nil || challenge == "" {
		return nil, errors.New("passkey: challenge is not base64url")
	}
	return json.Marshal(struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}{kind, strings.TrimRight(challenge, "="), origin, false})
}

// coseKey is the public key in COSE (RFC 9053, section 7.1.1).
func coseKey(pub *ecdsa.PublicKey) ([]byte, error) {
	point, err := pub.Bytes()
	if err != nil {
		return nil, err
	}
	return encode(map[int]any{1: 2, 3: es256, -1: 1, -2: point[1:33], -3: point[33:]})
}

// encode is CTAP2's canonical CBOR.
func encode(v any) ([]byte, error) {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(v)
}

func decode(options []byte, into any) error {
	if len(options) > maxOptions {
		return errors.New("passkey: the options are longer than 64 KiB")
	}
	if err := json.Unmarshal(options, into); err != nil {
		return errors.New("passkey: the options are not JSON")
	}
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand, Go 1.24)
	return b
}

func base(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unbase(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}
