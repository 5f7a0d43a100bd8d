package softtpm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
)

// hmacHash settles the hash of an HMAC key: that of the key if it has one, and
// then the caller may only repeat it. ok says that the object is such a key.
func (o *object) hmacHash(asked uint16) (hash uint16, rc rcode) {
	p := o.pub
	switch {
	case o.sequence != nil || p.typ != algKeyedHash:
		return 0, rcType.handle(1)
	case p.has(attrRestricted):
		return 0, rcAttributes.handle(1)
	case !p.has(attrSignKey) || o.publicOnly:
		return 0, rcKey.handle(1)
	}
	if p.scheme == algHMAC {
		if asked != algNull && asked != p.schemeHash {
			return 0, rcValue.param(2)
		}
		return p.schemeHash, rcSuccess
	}
	if _, ok := hashOf(asked); !ok {
		return 0, rcValue.param(2)
	}
	return asked, rcSuccess
}

// hmacCommand is TPM2_HMAC (Part 3, 15.4). It is the hottest command of all,
// one for each key derivation, so the keyed hash is kept ready with the key.
func hmacCommand(c *call) rcode {
	data, asked := c.in.sized(maxBuffer), c.in.mac()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	alg, rc := o.hmacHash(asked)
	if rc != rcSuccess {
		return rc
	}
	h, _ := hashOf(alg)
	m := o.mac
	switch {
	case o.pub.scheme != algHMAC:
		m = hmac.New(h.New, o.secret) // the hash may differ every time
	case m == nil:
		m = hmac.New(h.New, o.secret)
		o.mac = m
	default:
		m.Reset()
	}
	m.Write(data)
	c.out = be.AppendUint16(c.out, uint16(h.Size()))
	c.out = m.Sum(c.out)
	return rcSuccess
}

// unseal is TPM2_Unseal (Part 3, 12.7).
func unseal(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	switch {
	case o.sequence != nil || o.pub.typ != algKeyedHash:
		return rcType.handle(1)
	case o.publicOnly || o.pub.attrs&(attrSignKey|attrDecryptKey|attrRestricted) != 0:
		return rcAttributes.handle(1) // a key, not sealed data
	}
	c.put2B(o.secret)
	return rcSuccess
}

// encryptDecrypt2 is TPM2_EncryptDecrypt2 (Part 3, 15.3).
func encryptDecrypt2(c *call) rcode {
	data, decrypt, mode, iv := c.in.sized(maxBuffer), c.in.yesNo(), c.in.cipherMode(), c.in.sized(aes.BlockSize)
	return c.cipher(data, decrypt, mode, iv, 3, 4)
}

// encryptDecrypt is TPM2_EncryptDecrypt (Part 3, 15.2): the same with the data
// last, where no session can encrypt it.
func encryptDecrypt(c *call) rcode {
	decrypt, mode, iv, data := c.in.yesNo(), c.in.cipherMode(), c.in.sized(aes.BlockSize), c.in.sized(maxBuffer)
	return c.cipher(data, decrypt, mode, iv, 2, 3)
}

// cipherMode reads a TPMI_ALG_CIPHER_MODE+.
func (p *params) cipherMode() uint16 {
	mode := p.u16()
	if mode != algCTR && mode != algCFB && mode != algNull {
		p.fail(rcMode)
	}
	return mode
}

// cipher is AES in CTR or CFB mode. The IV that comes back continues the stream
// in the next command. The numbers are those of the parameters mode and IV.
func (c *call) cipher(data []byte, decrypt bool, mode uint16, iv []byte, modeAt, ivAt uint32) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	o := c.object(0)
	p := o.pub
	switch {
	case o.sequence != nil || o.publicOnly || p.typ != algSymCipher:
		return rcKey.handle(1)
	case p.has(attrRestricted), decrypt && !p.has(attrDecryptKey), !decrypt && !p.has(attrSignKey):
		return rcAttributes.handle(1)
	}
	if p.symMode != algNull {
		if mode != algNull && mode != p.symMode {
			return rcMode.param(modeAt)
		}
		mode = p.symMode
	}
	if len(iv) != aes.BlockSize {
		return rcSize.param(ivAt)
	}
	block, err := aes.NewCipher(o.secret)
	if err != nil {
		return rcFailure
	}
	data, iv = bytes.Clone(data), bytes.Clone(iv)
	switch mode {
	case algCTR:
		cipher.NewCTR(block, iv).XORKeyStream(data, data)
		addBlocks(iv, (len(data)+aes.BlockSize-1)/aes.BlockSize)
	case algCFB:
		iv = runCFB(block, iv, data, decrypt)
	default:
		return rcMode.param(modeAt)
	}
	c.put2B(data)
	c.put2B(iv)
	return rcSuccess
}

// addBlocks adds n to a big-endian counter.
func addBlocks(counter []byte, n int) {
	for i := len(counter) - 1; i >= 0 && n > 0; i-- {
		n += int(counter[i])
		counter[i] = byte(n)
		n >>= 8
	}
}
