package softtpm

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// rsaEncryption reads what RSA_Encrypt and RSA_Decrypt have in common and
// settles the scheme (Part 1, B.4): that of the key, which a caller may only
// repeat, or for a key without one the caller's. So whoever fixes OAEP in a key
// makes sure that it is no padding oracle, whatever its users ask for.
func (c *call) rsaEncryption() (data, label []byte, s sigScheme, rc rcode) {
	data = c.in.sized(maxRSA)
	asked := c.in.rsaScheme()
	label = c.in.sized(maxData)
	if rc := c.in.end(); rc != rcSuccess {
		return nil, nil, s, rc
	}
	p := c.object(0).pub
	switch {
	case p.typ != algRSA:
		return nil, nil, s, rcKey.handle(1)
	case !p.has(attrDecryptKey), p.has(attrRestricted) && c.cmd.auths > 0:
		return nil, nil, s, rcAttributes.handle(1)
	case len(label) > 0 && label[len(label)-1] != 0:
		return nil, nil, s, rcValue.param(3) // Part 3: null-terminated
	case p.scheme == algNull:
		return data, label, asked, rcSuccess
	}
	s = sigScheme{alg: p.scheme, hash: p.schemeHash}
	if asked.alg != algNull && asked != s {
		return nil, nil, s, rcScheme.param(2)
	}
	return data, label, s, rcSuccess
}

// rsaScheme reads a TPMT_RSA_DECRYPT.
func (p *params) rsaScheme() (s sigScheme) {
	p.group(func(r *reader) (rc rcode) {
		if s, rc = readScheme(r, algOAEP, algRSAES); rc == rcScheme {
			rc = rcValue
		}
		return rc
	})
	return s
}

// rsaEncrypt is TPM2_RSA_Encrypt (Part 3, 14.2).
func rsaEncrypt(c *call) rcode {
	message, label, s, rc := c.rsaEncryption()
	if rc != rcSuccess {
		return rc
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(c.object(0).pub.n), E: rsaExponent}
	var out []byte
	var err error
	switch s.alg {
	case algOAEP:
		out, err = rsa.EncryptOAEP(hashFor(s.hash).New(), rand.Reader, key, message, label)
	case algRSAES:
		//nolint:staticcheck // old, and what TPM2_RSA_Encrypt has a number for
		out, err = rsa.EncryptPKCS1v15(rand.Reader, key, message)
	default:
		if message = bytes.TrimLeft(message, "\x00"); len(message) > key.Size() {
			return rcValue
		}
		m := new(big.Int).SetBytes(message)
		if m.Cmp(key.N) >= 0 {
			return rcSize
		}
		out = m.Exp(m, big.NewInt(rsaExponent), key.N).FillBytes(make([]byte, key.Size()))
	}
	if err != nil {
		return rcValue // the message is too long
	}
	c.put2B(out)
	return rcSuccess
}

// rsaDecrypt is TPM2_RSA_Decrypt (Part 3, 14.3).
func rsaDecrypt(c *call) rcode {
	ciphertext, label, s, rc := c.rsaEncryption()
	if rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if len(ciphertext) != int(o.pub.keyBits)/8 {
		return rcSize
	}
	if new(big.Int).SetBytes(ciphertext).Cmp(o.rsa.N) >= 0 {
		return rcSize
	}
	// One answer for every kind of bad padding: detail would be an oracle. That
	// there is an answer is one too with RSAES, so it is for keys that allow it.
	var m []byte
	var err error
	switch s.alg {
	case algOAEP:
		m, err = rsa.DecryptOAEP(hashFor(s.hash).New(), nil, o.rsa, ciphertext, label)
	case algRSAES:
		//nolint:staticcheck // old, and what TPM2_RSA_Decrypt has a number for
		m, err = rsa.DecryptPKCS1v15(nil, o.rsa, ciphertext)
	default:
		m = privateRSA(o.rsa, ciphertext)
	}
	if err != nil {
		return rcValue
	}
	c.put2B(m)
	return rcSuccess
}

// privateRSA is the bare private function, which crypto/rsa does not offer. Its
// arithmetic is not constant time, so base and exponent are blinded: no two
// runs work on the same numbers.
func privateRSA(key *rsa.PrivateKey, in []byte) []byte {
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(key.Primes[0], one), new(big.Int).Sub(key.Primes[1], one))
	d := new(big.Int).SetBytes(random(8))
	d.Add(d.Mul(d, phi), key.D)
	for {
		r := new(big.Int).SetBytes(random(key.Size()))
		r.Mod(r, key.N)
		back := new(big.Int).ModInverse(r, key.N)
		if back == nil {
			continue // not coprime, as good as never
		}
		m := new(big.Int).SetBytes(in)
		m.Mul(m, r.Exp(r, big.NewInt(rsaExponent), key.N)).Mod(m, key.N)
		m.Exp(m, d, key.N)
		m.Mul(m, back).Mod(m, key.N)
		return m.FillBytes(make([]byte, key.Size()))
	}
}
