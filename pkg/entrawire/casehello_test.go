package entrawire_test

import (
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"strings"
)

const helloClaims = `{"iss":"alice@contoso.test","aud":"common","iat":"1780311600","exp":"1780318800","scope":"openid aza ugs","request_nonce":"` + nonceB + `"}`

func rawRSA(pub *rsa.PublicKey, em []byte) []byte {
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, big.NewInt(int64(pub.E)), pub.N).FillBytes(make([]byte, pub.Size()))
}

// helloID is the SHA-256 of an RSA1 blob; in base64 it is the key's kid.
func helloID(blob []byte) []byte {
	sum := sha256.Sum256(blob)
	return sum[:]
}

func helloHeader(pub *rsa.PublicKey) string {
	return `{"typ":"JWT","alg":"RS256","kid":"` + std64(helloID(rsa1(pub))) + `","use":"ngc"}`
}

func helloToken(k keys) string {
	return compact(helloHeader(&k.hello.PublicKey), helloClaims, byRSA(k.hello))
}

func helloCases(k keys) []vector {
	pub := &k.hello.PublicKey
	v := func(name, what, expect, input string, result map[string]string) vector {
		return vector{
			Name: "hello_assertion/" + name, Kind: "hello_assertion", What: what, Expect: expect,
			Source: "MS-OAPXBC 3.1.5.1.2 and 3.2.5.1.2; assertions of ROADtools, libhimmelblau and AADInternals",
			Given:  map[string]string{"hello_key_rsa1_b64": std64(rsa1(pub)), "hello_key_pkcs8_b64": pkcs8(k.hello)}, Input: input, Result: result,
		}
	}
	result := func() map[string]string {
		return map[string]string{"key_id": std64(helloID(rsa1(pub))), "iss": "alice@contoso.test", "iat": "1780311600", "exp": "1780318800", "request_nonce": nonceB}
	}
	numbers := strings.NewReplacer(`"1780311600"`, "1780311600", `"1780318800"`, "1780318800", "common", vectorTenant).Replace(helloClaims)
	header, good := helloHeader(pub), helloToken(k)
	parts := strings.Split(good, ".")
	claim := func(name, what, from, to string) vector {
		return v(name, what, "claims", compact(header, strings.Replace(helloClaims, from, to, 1), byRSA(k.hello)), nil)
	}
	head := func(name, what, expect, from, to string) vector {
		return v(name, what, expect, compact(strings.Replace(header, from, to, 1), helloClaims, byRSA(k.hello)), nil)
	}
	return []vector{
		v("strings", "Times as strings, as ROADtools writes them.", accept, good, result()),
		v("numbers", "Times as numbers, aud a tenant id.", accept, compact(header, numbers, byRSA(k.hello)), result()),
		head("no-use", "The header does not say use.", "header", `,"use":"ngc"`, ""),
		head("use-other", "use is sig: a token that the key signed for something else.", "header", `"ngc"`, `"sig"`),
		head("no-kid", "The header names no key.", "header", `"kid":"`+std64(helloID(rsa1(pub)))+`",`, ""),
		head("kid-other-key", "The kid of another key.", "header", std64(helloID(rsa1(pub))), std64(helloID(rsa1(&k.other.PublicKey)))),
		head("kid-of-spki", "The kid is the hash of the SubjectPublicKeyInfo.", "header", std64(helloID(rsa1(pub))), std64(helloID(publicKeyInfo(k.hello)))),
		head("alg-ps256", "alg says PS256.", "algorithm", "RS256", "PS256"),
		v("alg-hmac", "HS256 with the public key as the key.", "algorithm", compact(strings.Replace(header, "RS256", "HS256", 1), helloClaims, byHMAC(rsa1(pub))), nil),
		v("other-key", "Signed by another key.", "signature", compact(header, helloClaims, byRSA(k.other)), nil),
		v("device-key", "Signed by the device key.", "signature", compact(header, helloClaims, byRSA(k.device)), nil),
		v("iss-changed", "The user was changed after the assertion was signed.", "signature", parts[0]+"."+url64([]byte(strings.Replace(helloClaims, "alice", "admin", 1)))+"."+parts[2], nil),
		claim("no-iss", "No iss: nobody signs in.", `"iss":"alice@contoso.test",`, ""),
		claim("no-exp", "No exp: an assertion for ever.", `"exp":"1780318800",`, ""),
		claim("no-iat", "No iat.", `"iat":"1780311600",`, ""),
		claim("exp-before-iat", "exp is before iat.", `"exp":"1780318800"`, `"exp":"1780311599"`),
		claim("exp-word", "exp is a word.", `"1780318800"`, `"never"`),
	}
}
