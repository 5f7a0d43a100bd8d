package softtpm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"

	"github.com/google/go-tpm/tpm2"
)

// Secret sharing and protected structures: salts, credentials and duplicates
// (Part 1, 23 to 24 and annexes B.10, C.6).

// recoverSecret decrypts a secret that somebody encrypted to this key under a
// label: SECRET, IDENTITY or DUPLICATE.
func (o *object) recoverSecret(enc []byte, label string) ([]byte, rcode) {
	h := o.pub.hash()
	switch {
	case o.rsa != nil:
		out, err := rsa.DecryptOAEP(h.New(), nil, o.rsa, enc, append([]byte(label), 0))
		if err != nil || len(out) > h.Size() {
			return nil, rcValue
		}
		return out, rcSuccess
	case o.ec != nil:
		return o.agreeSecret(enc, label)
	}
	return nil, rcKey
}

// agreeSecret is the ECC form: enc is the sender's one-time public key.
func (o *object) agreeSecret(enc []byte, label string) ([]byte, rcode) {
	r := reader{b: enc}
	x, y := r.sized(), r.sized()
	if rc := r.end(); rc != rcSuccess {
		return nil, rc
	}
	c, _ := curveOf(o.pub.curveID)
	peer, ok := c.point(x, y)
	if !ok {
		return nil, rcECCPoint
	}
	key, rc := o.ecdh()
	if rc != rcSuccess {
		return nil, rc
	}
	z, err := key.ECDH(peer)
	if err != nil {
		return nil, rcECCPoint
	}
	px, _ := uncompressed(peer)
	ox, _ := uncompressed(key.PublicKey())
	h := o.pub.hash()
	return tpm2.KDFe(h, z, label, px, ox, h.Size()*8), rcSuccess
}

// unwrap opens a structure protected with a secret shared with this key: HMAC
// over the encrypted part and the Name of the object it is for, then AES-CFB
// with a zero IV, as the secret is used once.
func (o *object) unwrap(secret, name, blob []byte) ([]byte, rcode) {
	r := reader{b: blob}
	mac := r.sized()
	if r.bad {
		return nil, rcInsufficient
	}
	h := o.pub.hash()
	m := hmac.New(h.New, tpm2.KDFa(h, secret, "INTEGRITY", nil, nil, h.Size()*8))
	m.Write(r.b)
	m.Write(name)
	if !hmac.Equal(mac, m.Sum(nil)) {
		return nil, rcIntegrity
	}
	inside := bytes.Clone(r.b)
	key := tpm2.KDFa(h, secret, "STORAGE", name, nil, int(o.pub.symBits))
	cfb(key, make([]byte, aes.BlockSize), inside, true)
	return inside, rcSuccess
}

// wrapOuter is the other way of unwrap, for duplicates and credentials: it also
// gives the secret, encrypted to this key under the label.
func (o *object) wrapOuter(label string, name, inside []byte) (blob, enc []byte, rc rcode) {
	k, rc := o.encapsulation()
	if rc != rcSuccess {
		return nil, nil, rc
	}
	secret, enc, err := k.Encapsulate(rand.Reader, label)
	if err != nil {
		return nil, nil, rcFailure
	}
	h := o.pub.hash()
	b := bytes.Clone(inside)
	cfb(tpm2.KDFa(h, secret, "STORAGE", name, nil, int(o.pub.symBits)), make([]byte, aes.BlockSize), b, false)
	m := hmac.New(h.New, tpm2.KDFa(h, secret, "INTEGRITY", nil, nil, h.Size()*8))
	m.Write(b)
	m.Write(name)
	return append(append2B(nil, m.Sum(nil)), b...), enc, rcSuccess
}

// encapsulation prepares this public key for wrapping; go-tpm has the sender's
// half of the formats above.
func (o *object) encapsulation() (tpm2.LabeledEncapsulationKey, rcode) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](o.pub.raw)
	if err != nil {
		return nil, rcKey
	}
	k, err := tpm2.ImportEncapsulationKey(p)
	if err != nil {
		return nil, rcKey
	}
	return k, rcSuccess
}

// canReceive tells whether others can wrap something for this key: the public
// half of a key pair that is a storage parent.
func (o *object) canReceive() bool {
	return o.sequence == nil && o.pub.isParent() && !o.pub.symmetric()
}

// makeCredential is TPM2_MakeCredential (Part 3, 12.6).
func makeCredential(c *call) rcode {
	credential, name := c.in.sized(maxDigest), c.in.sized(maxName)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	switch {
	case !o.canReceive():
		return rcType.handle(1)
	case len(credential) > o.pub.hash().Size():
		return rcSize.param(1)
	}
	id, secret, rc := o.wrapOuter("IDENTITY", name, append2B(nil, credential))
	if rc != rcSuccess {
		return rc.handle(1)
	}
	c.put2B(id)
	c.put2B(secret)
	return rcSuccess
}

// activateCredential is TPM2_ActivateCredential (Part 3, 12.5): proves that the
// object at handle 1 is in the TPM of the key at handle 2.
func activateCredential(c *call) rcode {
	blob, enc := c.in.sized(maxCredBlob), c.in.sized(maxSecret)
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o, key := c.object(0), c.object(1)
	if !key.isStorage() || !key.canReceive() {
		return rcType.handle(2)
	}
	secret, rc := key.recoverSecret(enc, "IDENTITY")
	if rc != rcSuccess {
		return rc.param(2)
	}
	inside, rc := key.unwrap(secret, o.name, blob)
	if rc != rcSuccess {
		return rc.param(1)
	}
	r := reader{b: inside}
	credential := r.sized()
	if rc := r.end(); rc != rcSuccess {
		return rc.param(1)
	}
	c.put2B(credential)
	return rcSuccess
}

// cfb is AES in CFB mode with full-block feedback, in place. The standard
// library's is deprecated; the TPM formats need it.
func cfb(key, iv, p []byte, decrypt bool) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return // unreachable: key sizes were checked when the object was made
	}
	runCFB(block, bytes.Clone(iv), p, decrypt)
}

// runCFB runs CFB and gives the feedback for a next call; it changes iv.
func runCFB(block cipher.Block, iv, p []byte, decrypt bool) []byte {
	var mask [aes.BlockSize]byte
	for len(p) > 0 {
		block.Encrypt(mask[:], iv)
		n := min(len(p), aes.BlockSize)
		for i := range n {
			in := p[i]
			p[i] ^= mask[i]
			if iv[i] = p[i]; decrypt {
				iv[i] = in
			}
		}
		p = p[n:]
	}
	return iv
}
