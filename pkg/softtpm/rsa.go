package softtpm

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// rsaEncryption reads what RSA_Encrypt and RSA_Decrypt have in common and
// settles the scheme, which must be OAEP: encryption by PKCS #1 v1.5 or by the
// bare function is not offered, because decrypting it makes an oracle.
func (c *call) rsaEncryption() (data, label []byte, h crypto.Hash, rc rcode) {
	data = c.in.sized(maxRSA)
	asked := c.in.rsaScheme()
	label = c.in.sized(maxData)
	if rc := c.in.end(); rc != rcSuccess {
		return nil, nil, 0, rc
	}
	p := c.object(0).pub
	switch {
	case p.typ != algRSA:
		return nil, nil, 0, rcKey.handle(1)
	case !p.has(attrDecryptKey), p.has(attrRestricted) && c.cmd.auths > 0:
		return nil, nil, 0, rcAttributes.handle(1)
	case len(label) > 0 && (label[len(label)-1] != 0 || bytes.IndexByte(label, 0) != len(label)-1):
		return nil, nil, 0, rcValue.param(3) // Part 3: null-terminated
	}
	if p.scheme != algNull {
		if asked.alg != algNull && (asked.alg != p.scheme || asked.hash != p.schemeHash) {
			return nil, nil, 0, rcScheme.param(2)
		}
		asked.alg, asked.hash = p.scheme, p.schemeHash
	}
	if asked.alg != algOAEP {
		return nil, nil, 0, rcScheme.param(2)
	}
	return data, label, hashFor(asked.hash), rcSuccess
}

// rsaScheme reads a TPMT_RSA_DECRYPT.
func (p *params) rsaScheme() (s sigScheme) {
	p.group(func(r *reader) (rc rcode) {
		if s, rc = readScheme(r, algOAEP); rc == rcScheme {
			rc = rcValue
		}
		return rc
	})
	return s
}

// rsaEncrypt is TPM2_RSA_Encrypt (Part 3, 14.2), OAEP only.
func rsaEncrypt(c *call) rcode {
	message, label, h, rc := c.rsaEncryption()
	if rc != rcSuccess {
		return rc
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(c.object(0).pub.n), E: rsaExponent}
	out, err := rsa.EncryptOAEP(h.New(), rand.Reader, key, message, label)
	if err != nil {
		return rcValue // the message is too long
	}
	c.put2B(out)
	return rcSuccess
}

// rsaDecrypt is TPM2_RSA_Decrypt (Part 3, 14.3), OAEP only.
func rsaDecrypt(c *call) rcode {
	ciphertext, label, h, rc := c.rsaEncryption()
	if rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	if len(ciphertext) != int(o.pub.keyBits)/8 {
		return rcSize
	}
	// One answer for every kind of bad ciphertext: detail would be an oracle.
	m, err := rsa.DecryptOAEP(h.New(), nil, o.rsa, ciphertext, label)
	if err != nil {
		return rcValue
	}
	c.put2B(m)
	return rcSuccess
}
