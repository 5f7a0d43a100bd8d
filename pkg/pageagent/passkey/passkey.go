// Package passkey is an authenticator of WebAuthn in software: ES256, attestation
// none, discoverable credentials, user verification always done.
//
// What lives here: making a credential, and answering a challenge with one. What
// never may: a check of what a relying party would check, or a key that leaves this
// memory. The scripted browser, the lab and tests use it; whoever verifies what it
// makes does so with a library of their own.
//
// Its limit: the private key lies in the memory of the process. A real security key
// keeps it; this one stands for it where there is no hand to touch a key.
package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
)

const (
	// maxCredentials is how many an authenticator holds.
	maxCredentials = 100
	// maxOptions bounds the JSON of a challenge, in bytes.
	maxOptions = 64 << 10
	// es256 is the algorithm in the words of COSE (RFC 9053, section 2.1).
	es256 = -7
)

// The flags of authenticator data (WebAuthn Level 3, section 6.1).
const (
	flagUserPresent  = 1 << 0
	flagUserVerified = 1 << 2
	flagAttested     = 1 << 6
)

// Config says what kind of authenticator it is.
type Config struct {
	// AAGUID names the model; all zero says nothing, as attestation none does.
	AAGUID [16]byte
}

// Authenticator holds credentials. It is safe for use by many at once.
type Authenticator struct {
	cfg  Config
	mu   sync.Mutex
	held []*credential
}

// credential is one key for one relying party.
type credential struct {
	id, user []byte
	rpID     string
	key      *ecdsa.PrivateKey
	count    uint32
}

// New makes an authenticator without credentials.
func New(cfg Config) *Authenticator { return &Authenticator{cfg: cfg} }

// ErrNone says that the authenticator holds no credential that the challenge allows.
var ErrNone = errors.New("passkey: no credential for this challenge")

// Create makes a credential for the page of an origin, and answers with the JSON of
// PublicKeyCredential. Options are the JSON of PublicKeyCredentialCreationOptions, at
// most 64 KiB. It refuses a relying party that is not the origin's own.
func (a *Authenticator) Create(origin string, options []byte) ([]byte, error) {
	var o creation
	if err := decode(options, &o); err != nil {
		return nil, err
	}
	rpID, err := party(origin, o.RP.ID)
	if err != nil {
		return nil, err
	}
	if len(o.Parameters) > 0 && !slices.ContainsFunc(o.Parameters, func(p struct {
		Algorithm int `json:"alg"`
	}) bool {
		return p.Algorithm == es256
	}) {
		return nil, errors.New("passkey: the page does not take ES256")
	}
	user, err := unbase(o.User.ID)
	if err != nil || len(user) == 0 || len(user) > 64 {
		return nil, errors.New("passkey: user.id is not base64url of 1 to 64 bytes")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.find(rpID, o.Exclude) != nil && len(o.Exclude) > 0 {
		return nil, errors.New("passkey: this authenticator is registered already")
	}
	if len(a.held) == maxCredentials {
		return nil, errors.New("passkey: the authenticator is full")
	}
	c := &credential{id: random(32), user: user, rpID: rpID}
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	answer, err := a.register(c, origin, o.Challenge)
	if err != nil {
		return nil, err
	}
	a.held = append(a.held, c)
	return answer, nil
}

func (a *Authenticator) register(c *credential, origin, challenge string) ([]byte, error) {
	key, err := coseKey(&c.key.PublicKey)
	if err != nil {
		return nil, err
	}
	data := c.data(flagUserPresent | flagUserVerified | flagAttested)
	data = append(data, a.cfg.AAGUID[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(c.id)))
	data = append(append(data, c.id...), key...)
	object, err := encode(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		return nil, err
	}
	client, err := clientData("webauthn.create", challenge, origin)
	if err != nil {
		return nil, err
	}
	return json.Marshal(registration{
		ID: base(c.id), RawID: base(c.id), Type: "public-key", Attach: "cross-platform", Response: registrationResponse{
			ClientData: base(client), Attestation: base(object), Data: base(data), Transports: []string{"usb"}, Algorithm: es256,
		},
	})
}

// Get answers the challenge of a page, and answers with the JSON of
// PublicKeyCredential. Options are the JSON of PublicKeyCredentialRequestOptions, at
// most 64 KiB. Without a credential that fits it is ErrNone; a challenge that names
// none is answered with the newest of the relying party.
func (a *Authenticator) Get(origin string, options []byte) ([]byte, error) {
	var o request
	if err := decode(options, &o); err != nil {
		return nil, err
	}
	rpID, err := party(origin, o.RPID)
	if err != nil {
		return nil, err
	}
	client, err := clientData("webauthn.get", o.Challenge, origin)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.find(rpID, o.Allow)
	if c == nil {
		return nil, ErrNone
	}
	c.count++
	data := c.data(flagUserPresent | flagUserVerified)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(slices.Clone(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, c.key, digest[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(assertion{
		ID: base(c.id), RawID: base(c.id), Type: "public-key", Attach: "cross-platform", Response: assertionResponse{
			ClientData: base(client), Data: base(data), Signature: base(signature), User: base(c.user),
		},
	})
}

// Count is how many credentials the authenticator holds.
func (a *Authenticator) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.held)
}

// find is the newest credential of a relying party that the list allows.
func (a *Authenticator) find(rpID string, list []descriptor) *credential {
	for _, c := range slices.Backward(a.held) {
		listed := slices.ContainsFunc(list, func(d descriptor) bool { return strings.TrimRight(d.ID, "=") == base(c.id) })
		if c.rpID == rpID && (len(list) == 0 || listed) {
			return c
		}
	}
	return nil
}

// data is the fixed part of authenticator data.
func (c *credential) data(flags byte) []byte {
	hash := sha256.Sum256([]byte(c.rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), c.count)
}
