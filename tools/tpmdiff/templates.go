package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
)

// template is a key or data object as a command asks for it.
type template struct {
	name   string
	typ    uint16
	attrs  uint32
	parms  []byte
	unique []byte
	data   int // bytes of sensitive data that the creator gives
}

func aes128(mode uint16) []byte { return cat(u16(algAES), u16(128), u16(mode)) }
func noSym() []byte             { return u16(algNull) }
func noScheme() []byte          { return u16(algNull) }
func scheme(alg, hash uint16) []byte {
	return cat(u16(alg), u16(hash))
}

func rsaParms(sym, sch []byte, bits uint16) []byte { return cat(sym, sch, u16(bits), u32(0)) }
func eccParms(sym, sch []byte, curve uint16) []byte {
	return cat(sym, sch, u16(curve), u16(algNull))
}

const (
	p256 = 3
	p384 = 4
)

// templates are what is created. Those of RSA stand last: they take long.
func templates() []template {
	point := cat(b2(nil), b2(nil))
	fixed := uint32(fixedTPM | fixedParent | origin | userWithAuth)
	return []template{
		{"storage", algECC, fixed | restricted | decrypt, eccParms(aes128(algCFB), noScheme(), p256), point, 0},
		{"movable storage", algECC, origin | userWithAuth | restricted | decrypt, eccParms(aes128(algCFB), noScheme(), p256), point, 0},
		{"ECDSA", algECC, fixed | sign, eccParms(noSym(), scheme(algECDSA, algSHA256), p256), point, 0},
		{"ECC for anything", algECC, fixed | sign | decrypt, eccParms(noSym(), noScheme(), p256), point, 0},
		{"attestation", algECC, fixed | sign | restricted, eccParms(noSym(), scheme(algECDSA, algSHA256), p256), point, 0},
		{"ECDH", algECC, fixed | decrypt, eccParms(noSym(), scheme(algECDH, algSHA256), p256), point, 0},
		{"ECDSA P-384", algECC, fixed | sign, eccParms(noSym(), scheme(algECDSA, algSHA384), p384), point, 0},
		{"movable ECDSA", algECC, origin | userWithAuth | sign, eccParms(noSym(), scheme(algECDSA, algSHA256), p256), point, 0},
		{"HMAC key given", algKeyedHash, fixed&^origin | sign, scheme5(), b2(nil), 32},
		{"HMAC key", algKeyedHash, fixed | sign, scheme5(), b2(nil), 0},
		{"HMAC key of any hash", algKeyedHash, fixed&^origin | sign, noScheme(), b2(nil), 20},
		{"sealed data", algKeyedHash, fixed &^ origin, noScheme(), b2(nil), 24},
		{"AES given", algSymCipher, fixed&^origin | sign | decrypt, aes128(algCFB), b2(nil), 16},
		{"AES", algSymCipher, fixed | sign | decrypt, aes128(algNull), b2(nil), 0},
		{"AES CTR given", algSymCipher, fixed&^origin | sign | decrypt, aes128(algCTR), b2(nil), 16},
		{"RSASSA", algRSA, fixed | sign, rsaParms(noSym(), scheme(algRSASSA, algSHA256), 2048), b2(nil), 0},
		{"OAEP", algRSA, fixed | decrypt, rsaParms(noSym(), scheme(algOAEP, algSHA1), 2048), b2(nil), 0},
	}
}

// scheme5 is HMAC with SHA-256.
func scheme5() []byte { return scheme(algHMAC, algSHA256) }

// area is a TPMT_PUBLIC.
func area(t template, nameAlg uint16, attrs uint32, policy []byte) []byte {
	return cat(u16(t.typ), u16(nameAlg), u32(attrs), b2(policy), t.parms, t.unique)
}

// outside are keys whose private parts are known, so that what is made with
// them is the same in every TPM.
type outside struct {
	rsa      *rsa.PrivateKey
	eccD     []byte
	eccPoint []byte // x and y, each a TPM2B
	peer     []byte // another point
}

func newOutside(r *random) (*outside, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	o := &outside{rsa: key}
	for _, to := range []*[]byte{&o.peer, &o.eccPoint} {
		d := r.bytes(32)
		d[0] &= 0x7f
		k, err := ecdh.P256().NewPrivateKey(d)
		if err != nil {
			return nil, err
		}
		pub := k.PublicKey().Bytes()
		*to, o.eccD = cat(b2(pub[1:33]), b2(pub[33:])), d
	}
	return o, nil
}

// external is a loadable key with both parts.
type external struct {
	name      string
	public    []byte
	sensitive []byte
}

func (o *outside) keys(r *random, auth []byte) external {
	sensitive := func(typ uint16, seed, secret []byte) []byte { return cat(u16(typ), b2(auth), b2(seed), b2(secret)) }
	attrs := uint32(userWithAuth | pick(r, 0, noDA))
	rsaKey := func(name string, more uint32, sch []byte) external {
		t := template{typ: algRSA, parms: rsaParms(noSym(), sch, 2048), unique: b2(o.rsa.N.Bytes())}
		return external{name, area(t, algSHA256, attrs|more, nil), sensitive(algRSA, nil, o.rsa.Primes[0].Bytes())}
	}
	eccKey := func(name string, more uint32, sch []byte) external {
		t := template{typ: algECC, parms: eccParms(noSym(), sch, p256), unique: o.eccPoint}
		return external{name, area(t, algSHA256, attrs|more, nil), sensitive(algECC, nil, o.eccD)}
	}
	hashed := func(name string, more uint32, parms []byte, typ uint16, size int) external {
		seed, secret := r.bytes(32), r.bytes(size)
		sum := sha256.Sum256(cat(seed, secret))
		t := template{typ: typ, parms: parms, unique: b2(sum[:])}
		return external{name, area(t, algSHA256, attrs|more, nil), sensitive(typ, seed, secret)}
	}
	switch r.below(11) {
	case 0:
		return rsaKey("RSASSA", sign, scheme(algRSASSA, algSHA256))
	case 1:
		return rsaKey("OAEP", decrypt, scheme(algOAEP, pick[uint16](r, algSHA1, algSHA256)))
	case 2:
		return rsaKey("RSA for anything", sign|decrypt, noScheme())
	case 3:
		return rsaKey("RSAES", decrypt, u16(algRSAES))
	case 4:
		return eccKey("ECDSA", sign, scheme(algECDSA, algSHA256))
	case 5:
		return eccKey("ECDH", decrypt, pick(r, scheme(algECDH, algSHA256), noScheme()))
	case 6:
		return eccKey("ECC for anything", sign|decrypt, noScheme())
	case 7:
		return hashed("HMAC", sign, scheme5(), algKeyedHash, 1+r.below(64))
	case 8:
		return hashed("HMAC of any hash", sign, noScheme(), algKeyedHash, 20)
	case 9:
		return hashed("AES", sign|decrypt, aes128(pick[uint16](r, algCFB, algCTR, algNull, algCFB)), algSymCipher, 16)
	default:
		return hashed("data", 0, noScheme(), algKeyedHash, r.below(100))
	}
}

// policy is an authPolicy with the commands that satisfy it.
type policy struct {
	name   string
	digest []byte
	steps  func(g *generator, session piece) []planned
	auth   bool // the authorization carries the authValue
}

// policyDigest is the digest of a policy of one command (Part 1, 19.7.4).
func policyDigest(cc uint32, args ...[]byte) []byte {
	sum := sha256.Sum256(cat(make([]byte, 32), u32(cc), cat(args...)))
	return sum[:]
}

func policies() []policy {
	one := func(cc uint32, params ...[]byte) func(*generator, piece) []planned {
		return func(g *generator, session piece) []planned {
			return []planned{func() (*step, func(bool)) { return g.cmd(cc, []piece{session}, nil, lit(params...)), nil }}
		}
	}
	none := cat(b2(nil), b2(nil), b2(nil), u32(0))
	first := sha256.Sum256(cat(make([]byte, 32), u32(ccPolicySecret), u32(rhOwner)))
	second := sha256.Sum256(first[:]) // policyRef is empty (Part 3, 23.2.3)
	secret := second[:]
	return []policy{
		{"the authValue", policyDigest(ccPolicyAuthValue), one(ccPolicyAuthValue), true},
		{"the password", policyDigest(ccPolicyAuthValue), one(ccPolicyPassword), true},
		{"signing alone", policyDigest(ccPolicyCode, u32(ccSign)), one(ccPolicyCode, u32(ccSign)), false},
		{"duplication alone", policyDigest(ccPolicyCode, u32(ccDuplicate)), one(ccPolicyCode, u32(ccDuplicate)), false},
		{"the owner", secret, func(g *generator, session piece) []planned {
			return []planned{func() (*step, func(bool)) {
				return g.cmd(ccPolicySecret, []piece{handle(rhOwner), session}, []auth{g.password(g.hier[rhOwner])}, lit(none)), nil
			}}
		}, false},
	}
}
