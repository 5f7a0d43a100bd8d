package sealed

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// The text form is 1.<routing>.<sealed>, both base64url. Routing is readable, so
// that a front end can find the tenant and tell a PRT from a refresh token: 3
// bytes of form, tenant and application as GUIDs, 5 bytes of chance. Sealed is key id, iv, ciphertext, tag. Version,
// type, routing and key id are authenticated with it. Windows' artefacts look
// the same from outside.
const (
	version   = "1"
	maxText   = 4 << 10
	maxState  = 24 << 10
	keySize   = 32
	keyIDSize = 4
	ivSize    = 12
	minSealed = keyIDSize + ivSize + 16

	tenantAt  = 3
	clientAt  = tenantAt + 16
	randomAt  = clientAt + 16
	routeSize = randomAt + 5
)

// Ring holds the sealing keys: it seals under the newest and opens under all. It
// is safe for concurrent use; a change of keys makes nobody wait.
type Ring struct {
	now atomic.Pointer[keys]
	// unknown is called when something is sealed under a key that the ring does not have.
	unknown func()
}

// keys is one state of a ring; it never changes.
type keys struct {
	newest uint32
	aeads  map[uint32]cipher.AEAD
	shorts map[uint32]cipher.AEAD // for what is not an artefact
}

// Key is one sealing key.
type Key struct {
	// ID is told in clear in every artefact sealed under the key.
	ID uint32
	// Key is 32 random bytes.
	Key secret.Bytes
}

// FreshKey draws a key.
func FreshKey(id uint32) Key {
	k := make([]byte, keySize)
	_, _ = rand.Read(k) // never fails: crypto/rand ends the process instead
	return Key{ID: id, Key: secret.NewBytes(k)}
}

// NewRing makes a ring. The first key is the one that seals.
func NewRing(list ...Key) (*Ring, error) {
	r := &Ring{}
	return r, r.Use(list...)
}

// OnUnknown has f look for other keys when something is sealed under one that the ring
// does not have: another process may have drawn it. F must bound how often it looks,
// because anybody can make up the number of a key. It must be set before the ring is
// used.
func (r *Ring) OnUnknown(f func()) { r.unknown = f }

// under finds the keys with a number; nil when there are none.
func (r *Ring) under(id uint32) *keys {
	k := r.now.Load()
	if _, known := k.aeads[id]; known {
		return k
	}
	if r.unknown == nil {
		return nil
	}
	r.unknown()
	if k = r.now.Load(); k.aeads[id] == nil {
		return nil
	}
	return k
}

// Use puts other keys in place of those that the ring holds, the one that seals
// first. What was sealed under a key that is not among them does not open any
// more. On an error the ring stays as it was.
func (r *Ring) Use(list ...Key) error {
	if len(list) == 0 {
		return fmt.Errorf("sealing keys are missing")
	}
	next := &keys{newest: list[0].ID, aeads: map[uint32]cipher.AEAD{}, shorts: map[uint32]cipher.AEAD{}}
	for _, k := range list {
		if _, twice := next.aeads[k.ID]; twice || k.Key.Len() != keySize {
			return fmt.Errorf("sealing key %d is there twice or not %d bytes", k.ID, keySize)
		}
		var err, err2 error
		next.aeads[k.ID], err = newAEAD(k.Key.Reveal())
		next.shorts[k.ID], err2 = newAEAD(shortKey(k.Key))
		if err := errors.Join(err, err2); err != nil {
			return fmt.Errorf("sealing key %d: %w", k.ID, err)
		}
	}
	r.now.Store(next)
	return nil
}

// Seal makes the text form of an artefact.
func (r *Ring) Seal(a Artefact) (secret.Text, error) {
	plain, err := a.encode()
	if err != nil {
		return secret.Text{}, fmt.Errorf("artefact does not encode: %w", err)
	}
	route, err := route(a)
	if err != nil {
		return secret.Text{}, err
	}
	return r.seal(a.Type, route, plain), nil
}

// SealState seals the state of a sign-in under way. It names no tenant, because
// none may be known yet.
func (r *Ring) SealState(plain []byte) secret.Text {
	route := make([]byte, routeSize)
	route[0] = byte(State)
	_, _ = rand.Read(route[randomAt:])
	return r.seal(State, route, plain)
}

func (r *Ring) seal(t Type, route, plain []byte) secret.Text {
	k := r.now.Load()
	out := make([]byte, keyIDSize+ivSize, keyIDSize+ivSize+len(plain)+16)
	binary.BigEndian.PutUint32(out, k.newest)
	_, _ = rand.Read(out[keyIDSize:])
	out = k.aeads[k.newest].Seal(out, out[keyIDSize:], plain, bound(t, route, k.newest))
	return secret.NewText(version + "." + jose.EncodeSegment(route) + "." + jose.EncodeSegment(out))
}

// Open reads an artefact of the wanted type. Every failure is ErrArtefact.
func (r *Ring) Open(want Type, text string) (Artefact, error) {
	if len(text) > maxText {
		return Artefact{}, ErrArtefact
	}
	route, plain, err := r.open(want, text)
	if err != nil {
		return Artefact{}, err
	}
	a, err := decode(plain)
	clear(plain) // it held the session key
	if err != nil || a.Type != want || ids.GUIDFromBytesLE([16]byte(route[tenantAt:clientAt])) != string(a.Tenant) {
		return Artefact{}, ErrArtefact
	}
	return a, nil
}

// OpenState reads what SealState sealed. Every failure is ErrArtefact.
func (r *Ring) OpenState(text string) ([]byte, error) {
	if len(text) > maxState {
		return nil, ErrArtefact
	}
	_, plain, err := r.open(State, text)
	return plain, err
}

// Newest says whether a text is sealed under the key that seals now. Of a text that is
// none of ours it says nothing worth knowing.
func (r *Ring) Newest(text string) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return false
	}
	raw, err := jose.DecodeSegment(parts[2])
	return err == nil && len(raw) >= keyIDSize && binary.BigEndian.Uint32(raw) == r.now.Load().newest
}

func (r *Ring) open(want Type, text string) (route, plain []byte, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] != version {
		return nil, nil, ErrArtefact
	}
	route, err = jose.DecodeSegment(parts[1])
	if err != nil || len(route) != routeSize {
		return nil, nil, ErrArtefact
	}
	raw, err := jose.DecodeSegment(parts[2])
	if err != nil || len(raw) < minSealed {
		return nil, nil, ErrArtefact
	}
	id := binary.BigEndian.Uint32(raw)
	k := r.under(id)
	if k == nil {
		return nil, nil, ErrArtefact
	}
	plain, err = k.aeads[id].Open(nil, raw[keyIDSize:keyIDSize+ivSize], raw[keyIDSize+ivSize:], bound(want, route, id))
	if err != nil {
		return nil, nil, ErrArtefact
	}
	return route, plain, nil
}

// Looks reads what kind of artefact a text says it is, 0 for none. It proves
// nothing and opens nothing: it helps to choose whom to ask, who will open it.
func Looks(text string) Type {
	parts := strings.Split(text, ".")
	if len(text) > maxState || len(parts) != 3 || parts[0] != version {
		return 0
	}
	route, err := jose.DecodeSegment(parts[1])
	if err != nil || len(route) != routeSize {
		return 0
	}
	return Type(route[0])
}

func route(a Artefact) ([]byte, error) {
	tenant, err := ids.GUIDBytesLE(string(a.Tenant))
	if err != nil {
		return nil, fmt.Errorf("tenant of the artefact: %w", err)
	}
	client, err := ids.GUIDBytesLE(string(a.Client))
	if err != nil {
		return nil, fmt.Errorf("application of the artefact: %w", err)
	}
	b := make([]byte, routeSize)
	b[0] = byte(a.Type)
	copy(b[tenantAt:], tenant[:])
	copy(b[clientAt:], client[:])
	_, _ = rand.Read(b[randomAt:])
	return b, nil
}

// bound is what the seal covers beside the content. The tenant is in the route.
func bound(t Type, route []byte, key uint32) []byte {
	b := make([]byte, 0, len(version)+1+routeSize+keyIDSize)
	b = append(b, version...)
	b = append(b, byte(t))
	b = append(b, route...)
	return binary.BigEndian.AppendUint32(b, key)
}
