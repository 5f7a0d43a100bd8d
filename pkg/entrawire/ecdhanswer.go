package entrawire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// producer is the apu of our answers: who made them.
const producer = "Lockstep"

// SealDeviceAnswer encrypts an answer of version 4 for the device's transport key:
// a compact JWE, ECDH-ES with a fresh key and A256GCM (RFC 7518 4.6 and 5.3). The
// tag covers the header, as RFC 7516 says; apv is the request's, base64url.
func SealDeviceAnswer(tk *ecdh.PublicKey, apv string, plaintext []byte) (string, error) {
	if tk == nil || tk.Curve() != ecdh.P256() {
		return "", ErrJWK
	}
	fresh, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	var iv [gcmIVSize]byte
	_, _ = rand.Read(iv[:]) // never fails: crypto/rand ends the process instead
	return sealDeviceAnswer(tk, fresh, apv, iv[:], plaintext)
}

func sealDeviceAnswer(tk *ecdh.PublicKey, fresh *ecdh.PrivateKey, apv string, iv, plaintext []byte) (string, error) {
	epk, err := MarshalECJWK(fresh.PublicKey())
	if err != nil {
		return "", err
	}
	shared, err := fresh.ECDH(tk)
	if err != nil {
		return "", ErrJWK
	}
	apv = strings.TrimRight(apv, "=")
	apu := jose.EncodeSegment([]byte(producer))
	header := jose.EncodeSegment([]byte(`{"alg":"` + ecdhAlg + `","enc":"` + ecdhEnc + `","apu":` + quote(apu) + `,"apv":` + quote(apv) + `,"epk":` + string(epk) + `}`))
	gcm, err := agreedGCM(shared, apu, apv)
	if err != nil {
		return "", err
	}
	sealed := gcm.Seal(nil, iv, plaintext, []byte(header))
	cut := len(sealed) - gcmTagSize
	return strings.Join([]string{header, "", jose.EncodeSegment(iv), jose.EncodeSegment(sealed[:cut]), jose.EncodeSegment(sealed[cut:])}, "."), nil
}

// OpenDeviceAnswer opens such an answer with the transport key in software: for
// tests, tools and conformance runs. Every failure is ErrAnswer.
func OpenDeviceAnswer(tk *ecdh.PrivateKey, apv, s string) ([]byte, error) {
	parts, err := jose.Split(s, 5)
	if err != nil || parts[1] != "" {
		return nil, ErrAnswer
	}
	raw, err := jose.DecodeSegment(parts[0])
	if err != nil {
		return nil, ErrAnswer
	}
	var h struct {
		Alg, Enc, APU, APV string
		EPK                json.RawMessage
	}
	if jose.DecodeObject(raw, &h) != nil || h.Alg != ecdhAlg || h.Enc != ecdhEnc || h.APV != strings.TrimRight(apv, "=") {
		return nil, ErrAnswer
	}
	epk, err := ParseJWK(h.EPK)
	if err != nil || epk.EC == nil {
		return nil, ErrAnswer
	}
	shared, err := tk.ECDH(epk.EC)
	if err != nil {
		return nil, ErrAnswer
	}
	gcm, err := agreedGCM(shared, h.APU, h.APV)
	if err != nil {
		return nil, ErrAnswer
	}
	iv, errIV := jose.DecodeSegment(parts[2])
	text, errText := jose.DecodeSegment(parts[3])
	tag, errTag := jose.DecodeSegment(parts[4])
	plain, ok := openGCM(gcm, iv, text, tag, []byte(parts[0]))
	if errIV != nil || errText != nil || errTag != nil || !ok {
		return nil, ErrAnswer
	}
	return plain, nil
}

// agreedGCM takes the shared secret away: it is wiped here.
func agreedGCM(shared []byte, apu, apv string) (cipher.AEAD, error) {
	u, errU := jose.DecodeSegment(apu)
	v, errV := jose.DecodeSegment(apv)
	if errU != nil || errV != nil {
		return nil, ErrAnswer
	}
	z := secret.NewBytes(shared)
	defer z.Wipe()
	key := concatKDF(z, ecdhEnc, u, v, sha256.Size)
	defer key.Wipe()
	block, err := aes.NewCipher(key.Reveal())
	if err != nil {
		return nil, ErrAnswer
	}
	return cipher.NewGCM(block)
}

// concatKDF is the Concat KDF of NIST SP 800-56A with SHA-256 as RFC 7518 4.6.2
// fills it in, for keys of up to 32 bytes: one round.
func concatKDF(z secret.Bytes, alg string, apu, apv []byte, size int) secret.Bytes {
	h := sha256.New()
	number := func(n int) { _ = binary.Write(h, binary.BigEndian, uint32(n)) } // a hash takes everything
	number(1)
	h.Write(z.Reveal())
	for _, field := range [][]byte{[]byte(alg), apu, apv} {
		number(len(field))
		h.Write(field)
	}
	number(size * 8)
	return secret.NewBytes(h.Sum(nil)[:size])
}
