// Package passkeytest is an authenticator in software, for tests: it makes and uses
// passkeys as a client of Web Authentication Level 3 does, and it can lie.
//
// What lives here: ES256 keys, client data, authenticator data, attestation none. What
// never may: code of the room that judges them; it reads the options as any client
// does.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"

	"github.com/fxamacker/cbor/v2"
)

// Flags of authenticator data (section 6.1).
const (
	UP = 1 << 0
	UV = 1 << 2
	BE = 1 << 3
	BS = 1 << 4
	AT = 1 << 6
)

// Key is a passkey.
type Key struct {
	ID, Handle []byte
	Site       string
	Private    *ecdsa.PrivateKey
	Count      uint32
}

// Authenticator holds passkeys. It is not safe for concurrent use.
type Authenticator struct {
	Keys []*Key
	// Lie changes what is about to be signed; nil does not.
	Lie func(*Claim)
}

// Claim is what an authenticator and its client say in an answer.
type Claim struct {
	Type, Challenge, Origin, Site string
	CrossOrigin                   bool
	Flags                         byte
	Count                         uint32
	Handle                        []byte
	// AAGUID is 16 bytes.
	AAGUID []byte
	// ID and Key that answer.
	ID  []byte
	Key *ecdsa.PrivateKey
	// Format of the attestation statement.
	Format string
}

type creation struct {
	Challenge string `json:"challenge"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Exclude []descriptor `json:"excludeCredentials"`
}

type request struct {
	Challenge string       `json:"challenge"`
	RP        string       `json:"rpId"`
	Allow     []descriptor `json:"allowCredentials"`
}

type descriptor struct {
	ID string `json:"id"`
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Create makes a passkey for creation options in JSON, at an origin, and returns the
// PublicKeyCredential in JSON.
func (a *Authenticator) Create(options, origin string) (string, error) {
	var o creation
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return "", err
	}
	if slices.ContainsFunc(o.Exclude, func(d descriptor) bool { return a.find(d.ID) != nil }) {
		return "", errors.New("InvalidStateError: one of the user's passkeys is on this authenticator")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		return "", err
	}
	c := a.claim("webauthn.create", o.Challenge, origin, &Key{ID: id, Handle: handle, Site: o.RP.ID, Private: key})
	public, err := cose(c.Key)
	if err != nil {
		return "", err
	}
	data := slices.Concat(c.data(), c.AAGUID, binary.BigEndian.AppendUint16(nil, uint16(len(c.ID))), c.ID, public)
	object, err := cbor.Marshal(map[string]any{"fmt": c.Format, "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		return "", err
	}
	a.Keys = append(a.Keys, &Key{ID: c.ID, Handle: handle, Site: o.RP.ID, Private: c.Key, Count: c.Count})
	return c.credential(map[string]any{"attestationObject": text(object), "transports": []string{"internal"}})
}

// Get answers request options in JSON, at an origin, with the newest passkey of the
// site that is allowed.
func (a *Authenticator) Get(options, origin string) (string, error) {
	var o request
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return "", err
	}
	var key *Key
	for _, k := range a.Keys {
		allowed := len(o.Allow) == 0 || slices.ContainsFunc(o.Allow, func(d descriptor) bool { return d.ID == text(k.ID) })
		if k.Site == o.RP && allowed {
			key = k
		}
	}
	if key == nil {
		return "", errors.New("NotAllowedError: no passkey for the site")
	}
	key.Count++
	return a.sign(key, o.Challenge, origin)
}

func (a *Authenticator) sign(key *Key, challenge, origin string) (string, error) {
	c := a.claim("webauthn.get", challenge, origin, key)
	client, err := c.client()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(c.data(), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, c.Key, digest[:])
	if err != nil {
		return "", err
	}
	response := map[string]any{"authenticatorData": text(c.data()), "signature": text(sig)}
	if len(c.Handle) > 0 {
		response["userHandle"] = text(c.Handle)
	}
	return c.credential(response)
}

func (a *Authenticator) find(id string) *Key {
	for _, k := range a.Keys {
		if text(k.ID) == id {
			return k
		}
	}
	return nil
}

func (a *Authenticator) claim(kind, challenge, origin string, k *Key) *Claim {
	c := &Claim{
		Type: kind, Challenge: challenge, Origin: origin, Site: k.Site, Flags: UP | UV, Count: k.Count, Handle: k.Handle,
		AAGUID: []byte("lockstep-testing"), ID: k.ID, Key: k.Private, Format: "none",
	}
	if kind == "webauthn.create" {
		c.Flags |= AT
	}
	if a.Lie != nil {
		a.Lie(c)
	}
	return c
}

// data is authenticator data up to the counter (section 6.1).
func (c *Claim) data() []byte {
	site := sha256.Sum256([]byte(c.Site))
	return binary.BigEndian.AppendUint32(append(site[:], c.Flags), c.Count)
}

// client is collected client data (section 5.8.1).
func (c *Claim) client() ([]byte, error) {
	return json.Marshal(map[string]any{"type": c.Type, "challenge": c.Challenge, "origin": c.Origin, "crossOrigin": c.CrossOrigin})
}

func (c *Claim) credential(response map[string]any) (string, error) {
	client, err := c.client()
	if err != nil {
		return "", err
	}
	response["clientDataJSON"] = text(client)
	raw, err := json.Marshal(map[string]any{
		"id": text(c.ID), "rawId": text(c.ID), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{}, "response": response,
	})
	return string(raw), err
}

// cose is an ES256 public key as COSE_Key (RFC 9053 section 7.1.1).
func cose(k *ecdsa.PrivateKey) ([]byte, error) {
	point, err := k.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
}
