package entrawire_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"math/big"
	"os"
	"path/filepath"
	"testing"
)

// What is here makes messages from the protocol's text alone: it calls nothing of
// the package under test, and it can make a message that no honest sender would.

// keys are the fixed keys of keys.json.
type keys struct {
	ca, device, transport, hello, other, long *rsa.PrivateKey
	ec                                        *ecdsa.PrivateKey
	session                                   []byte
}

func loadKeys(t *testing.T) keys {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(vectorDir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	k := func(name string) *rsa.PrivateKey { return privateKey(t, m[name+"_pkcs8_b64"]).(*rsa.PrivateKey) }
	return keys{
		ca: k("device_ca"), device: k("device"), transport: k("transport"), hello: k("hello"), other: k("other"), long: k("rsa3072"),
		ec: privateKey(t, m["p256_pkcs8_b64"]).(*ecdsa.PrivateKey), session: count(0x00, 32),
	}
}

// pkcs8 is how a private key stands in a vector.
func pkcs8(k *rsa.PrivateKey) string {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return ""
	}
	return std64(der)
}

// count is n bytes that count up from first.
func count(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func url64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
func std64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// sign is how the last segment of a token comes about.
type sign func(input string) []byte

func compact(header, payload string, s sign) string {
	input := url64([]byte(header)) + "." + url64([]byte(payload))
	return input + "." + url64(s(input))
}

func byRSA(k *rsa.PrivateKey) sign {
	return func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, sum[:])
		if err != nil {
			return nil
		}
		return sig
	}
}

func byHMAC(key []byte) sign { return func(input string) []byte { return mac(key, []byte(input)) } }

func unsigned(string) []byte { return nil }

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

const kdfLabel = "AzureAD-SecureConversation"

// derive is SP 800-108 in counter mode: one block of HMAC-SHA-256.
func derive(key []byte, label string, context []byte) []byte {
	return mac(key, []byte{0, 0, 0, 1}, []byte(label), []byte{0}, context, []byte{0, 0, 1, 0})
}

func contextV2(ctx []byte, payload string) []byte {
	sum := sha256.Sum256(append(bytes.Clone(ctx), payload...))
	return sum[:]
}

// oaep is RFC 8017 7.1.1 with the seed given, so that the result can be made again.
func oaep(pub *rsa.PublicKey, h func() hash.Hash, seed, message []byte) []byte {
	size, n := h().Size(), pub.Size()
	seed = seed[:size]
	db := make([]byte, n-size-1)
	copy(db, h().Sum(nil))
	copy(db[len(db)-len(message):], message)
	db[len(db)-len(message)-1] = 1
	xor(db, mgf1(h, seed, len(db)))
	masked := bytes.Clone(seed)
	xor(masked, mgf1(h, db, size))
	em := new(big.Int).SetBytes(append(masked, db...))
	return em.Exp(em, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, n))
}

func mgf1(h func() hash.Hash, seed []byte, n int) []byte {
	var out []byte
	for i := uint32(0); len(out) < n; i++ {
		d := h()
		d.Write(seed)
		d.Write(binary.BigEndian.AppendUint32(nil, i))
		out = d.Sum(out)
	}
	return out[:n]
}

func xor(into, with []byte) {
	for i := range into {
		into[i] ^= with[i]
	}
}

func oaepSHA1(pub *rsa.PublicKey, message []byte) []byte {
	return oaep(pub, sha1.New, count(0x60, sha1.Size), message)
}

// gcm seals one message; the tag is the last 16 bytes.
func gcm(key, iv, plain, aad []byte) (ciphertext, tag []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil
	}
	g, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil {
		return nil, nil
	}
	sealed := g.Seal(nil, iv, plain, aad)
	return sealed[:len(plain)], sealed[len(plain):]
}

// cbc encrypts whole blocks.
func cbc(key, iv, padded []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil
	}
	out := make([]byte, len(padded))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, padded)
	return out
}

func pad(plain string) []byte {
	n := aes.BlockSize - len(plain)%aes.BlockSize
	return append([]byte(plain), bytes.Repeat([]byte{byte(n)}, n)...)
}

func rsa1(pub *rsa.PublicKey) []byte {
	b := []byte("RSA1")
	e := big.NewInt(int64(pub.E)).Bytes()
	for _, n := range []int{pub.N.BitLen(), len(e), pub.Size(), 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return append(append(b, e...), pub.N.Bytes()...)
}

func hexed(b []byte) string { return hex.EncodeToString(b) }
