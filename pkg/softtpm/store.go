package softtpm

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"

	"github.com/google/go-tpm/tpm2"
)

// store protects the children of a parent: AES-256-GCM under a key derived
// from the parent's seed, with the child's Name as additional data. So a blob
// opens only under its parent and only with its public area. The inside of a
// private blob is the TPM's own affair (Part 1, 22.4 asks for integrity and
// confidentiality), and one pass beats the specification's two.
type store struct {
	aead cipher.AEAD
	id   [32]byte // tells parents apart in the cache
}

func newStore(o *object) *store {
	key := tpm2.KDFa(crypto.SHA256, o.seed, "STORAGE", o.name, nil, 256)
	return &store{aead: newAEAD(key), id: sha256.Sum256(key)}
}

// newAEAD makes AES-256-GCM of a 32-byte key.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil // unreachable: the key size is fixed
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil // unreachable: AES has the block size of GCM
	}
	return aead
}

// children gives the store of a parent; callers checked isStorage.
func (o *object) children() *store {
	if o.store == nil {
		o.store = newStore(o)
	}
	return o.store
}

// seal makes the private blob of a child.
func (o *object) seal(child *object) []byte {
	var s []byte
	for _, f := range [][]byte{child.auth, child.seed, child.secret} {
		s = append2B(s, f)
	}
	return o.children().aead.Seal(nil, nil, s, child.name)
}

// open fills a child from its private blob.
func (o *object) open(child *object, blob []byte) rcode {
	aead := o.children().aead
	if len(blob) < aead.Overhead() {
		return rcInsufficient
	}
	s, err := aead.Open(nil, nil, blob, child.name)
	if err != nil {
		return rcIntegrity
	}
	r := reader{b: s}
	child.auth, child.seed, child.secret = r.sized(), r.sized(), r.sized()
	if rc := r.end(); rc != rcSuccess {
		return rc
	}
	return child.bindKey(false)
}

// loadChild opens a blob, or finds it among those opened before. The cache id
// covers the parent's storage key and both halves of the blob, so a hit gives
// exactly what opening again would.
func (t *TPM) loadChild(parent *object, private []byte, p *publicArea) (*object, rcode) {
	s := parent.children()
	h := sha256.New()
	h.Write(s.id[:])
	if parent.stClear {
		h.Write([]byte{1}) // what it has from its ancestors
	}
	var size [2]byte
	be.PutUint16(size[:], uint16(len(private)))
	h.Write(size[:])
	h.Write(private)
	h.Write(p.raw)
	var id [32]byte
	h.Sum(id[:0])
	if o := t.cache.get(id); o != nil {
		return o, rcSuccess
	}
	o := newObject(p.own(), parent.hier)
	o.stClear = o.stClear || parent.stClear
	if rc := parent.open(o, private); rc != rcSuccess {
		return nil, rc.param(1)
	}
	if rc := p.checkPublic(parent); rc != rcSuccess {
		return nil, rc.param(2)
	}
	o.qualify(parent.qn)
	t.cache.put(id, o)
	return o, rcSuccess
}

// keyCache keeps unsealed objects, oldest out first. It is emptied when a
// hierarchy is cleared and at every start.
type keyCache struct {
	byID map[[32]byte]*object
	ring [][32]byte
	next int
}

func (k *keyCache) get(id [32]byte) *object { return k.byID[id] }

func (k *keyCache) put(id [32]byte, o *object) {
	if k.byID == nil {
		k.byID = map[[32]byte]*object{}
	}
	if len(k.ring) < cachedKeys {
		k.ring = append(k.ring, id)
	} else {
		delete(k.byID, k.ring[k.next])
		k.ring[k.next] = id
		k.next = (k.next + 1) % cachedKeys
	}
	k.byID[id] = o
}
