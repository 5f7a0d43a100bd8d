package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
)

func noTicket() []byte { return cat(u16(0x8024), u32(rhNull), b2(nil)) } // a hash check that there is not

func can(attr uint32) func(*object) bool {
	return func(o *object) bool { return o.template.attrs&attr != 0 && o.template.attrs&restricted == 0 }
}

func typed(typ uint16, attr uint32) func(*object) bool {
	return func(o *object) bool { return o.template.typ == typ && o.template.attrs&attr != 0 }
}

// use is a command on one key: by its authValue, or by its policy.
func use(cc uint32, fits func(*object) bool, params func(g *generator, o *object) []piece) func(g *generator) (*step, func(bool)) {
	return func(g *generator) (*step, func(bool)) {
		o := g.some(fits)
		if o == nil {
			return nil, nil
		}
		command := func(a auth) *step {
			s := g.cmd(cc, []piece{o.h}, []auth{a}, params(g, o)...)
			s.free = o.made
			return s
		}
		if o.policy != nil && g.one(2) {
			return g.withPolicy(o, command)
		}
		return command(g.by(o.auth)), nil
	}
}

func useOps() []op {
	hash := func(g *generator) uint16 {
		return pick[uint16](g.random, algSHA256, algSHA256, algSHA1, algSHA384, algNull)
	}
	return []op{
		{ccSign, 12, signOp}, {ccVerify, 5, verify},
		{ccRSADecrypt, 8, rsaDecrypt},
		{ccRSAEncrypt, 4, func(g *generator) (*step, func(bool)) {
			o := g.some(typed(algRSA, decrypt))
			if o == nil {
				return nil, nil
			}
			return g.cmd(ccRSAEncrypt, []piece{o.h}, nil, lit(b2(g.bytes(g.below(40))), g.rsaScheme(), b2(pick(g.random, nil, []byte("label\x00"), []byte("label"))))), nil
		}},
		{ccHMAC, 10, use(ccHMAC, typed(algKeyedHash, sign), func(g *generator, _ *object) []piece {
			return []piece{lit(b2(g.bytes(g.below(200))), u16(hash(g)))}
		})},
		{ccHash, 6, func(g *generator) (*step, func(bool)) {
			data := g.bytes(g.below(1025))
			if g.one(4) {
				data = append([]byte{0xff, 'T', 'C', 'G'}, data[:min(len(data), 20)]...)
			}
			return g.cmd(ccHash, nil, nil, lit(b2(data), u16(hash(g)), u32(pick[uint32](g.random, rhNull, rhOwner, rhEndorsement, rhPlatform)))), nil
		}},
		{ccHMACStart, 4, func(g *generator) (*step, func(bool)) {
			o := g.some(typed(algKeyedHash, sign))
			if o == nil {
				return nil, nil
			}
			value := g.authValue()
			s := g.cmd(ccHMACStart, []piece{o.h}, []auth{g.by(o.auth)}, lit(b2(value), u16(hash(g))))
			return s, g.sequenceStarted(s, value, o.made)
		}},
		{ccHashStart, 4, func(g *generator) (*step, func(bool)) {
			value := g.authValue()
			s := g.cmd(ccHashStart, nil, nil, lit(b2(value), u16(hash(g))))
			return s, g.sequenceStarted(s, value, false)
		}},
		{ccSeqUpdate, 6, func(g *generator) (*step, func(bool)) {
			o := g.some(func(o *object) bool { return o.sequence })
			if o == nil {
				return nil, nil
			}
			return g.cmd(ccSeqUpdate, []piece{o.h}, []auth{g.by(o.auth)}, lit(b2(g.bytes(g.below(300))))), nil
		}},
		{ccSeqComplete, 6, func(g *generator) (*step, func(bool)) {
			o := g.some(func(o *object) bool { return o.sequence })
			if o == nil {
				return nil, nil
			}
			h := pick[uint32](g.random, rhNull, rhOwner)
			s := g.cmd(ccSeqComplete, []piece{o.h}, []auth{g.by(o.auth)}, lit(b2(g.bytes(g.below(300))), u32(h)))
			s.free = o.made
			return s, func(ok bool) {
				if ok {
					g.drop(o)
				}
			}
		}},
		{ccCrypt2, 10, use(ccCrypt2, typed(algSymCipher, decrypt), func(g *generator, _ *object) []piece {
			data, iv := g.bytes(g.below(100)), g.bytes(pick(g.random, 16, 16, 16, 0, 15))
			return []piece{lit(b2(data), u8(byte(g.below(2))), u16(pick[uint16](g.random, algCFB, algCTR, algNull, algCFB, algCBC)), b2(iv))}
		})},
		{ccUnseal, 6, use(ccUnseal, func(o *object) bool { return o.template.typ == algKeyedHash && o.template.attrs&(sign|decrypt) == 0 },
			func(*generator, *object) []piece { return nil })},
		{ccECDHZGen, 6, use(ccECDHZGen, typed(algECC, decrypt), func(g *generator, _ *object) []piece {
			return []piece{lit(b2(pick(g.random, g.out.peer, g.out.peer, cat(b2([]byte{1}), b2([]byte{2})))))}
		})},
		{ccECDHKeyGen, 3, func(g *generator) (*step, func(bool)) {
			o := g.some(typed(algECC, decrypt))
			if o == nil {
				return nil, nil
			}
			return g.cmd(ccECDHKeyGen, []piece{o.h}, nil), nil
		}},
		{ccECCParms, 2, func(g *generator) (*step, func(bool)) {
			return g.cmd(ccECCParms, nil, nil, lit(u16(pick[uint16](g.random, p256, p384, 5, 0x10, 0, 0x99)))), nil
		}},
		{ccCertify, 5, certify}, {ccMakeCred, 3, makeCredential},
		{ccQuote, 5, use(ccQuote, typed(algECC, sign), func(g *generator, _ *object) []piece {
			return []piece{lit(b2(g.bytes(g.below(20))), g.signScheme(), u32(1), selection(uint32(g.number())))}
		})},
		{ccGetTime, 2, func(g *generator) (*step, func(bool)) {
			o := g.some(typed(algECC, sign))
			if o == nil {
				return nil, nil
			}
			return g.cmd(ccGetTime, []piece{handle(rhEndorsement), o.h}, []auth{g.by(g.hier[rhEndorsement]), g.by(o.auth)}, lit(b2(g.bytes(8)), g.signScheme())), nil
		}},
	}
}

func (g *generator) sequenceStarted(s *step, value []byte, made bool) func(bool) {
	return func(ok bool) {
		if ok {
			g.loaded = append(g.loaded, &object{h: from(s.id, "handle"), auth: value, sequence: true, made: made, name: "sequence"})
		}
	}
}

func (g *generator) signScheme() []byte {
	return pick(g.random, noScheme(), noScheme(), scheme(algECDSA, algSHA256), scheme(algRSASSA, algSHA256), scheme(algRSAPSS, algSHA256),
		scheme(algHMAC, algSHA256), scheme(algECDSA, algSHA384), scheme(algOAEP, algSHA1))
}

func (g *generator) rsaScheme() []byte {
	return pick(g.random, noScheme(), noScheme(), u16(algRSAES), scheme(algOAEP, algSHA1), scheme(algOAEP, algSHA256), scheme(algRSASSA, algSHA256))
}

func signOp(g *generator) (*step, func(bool)) {
	digest := g.bytes(pick(g.random, 32, 32, 32, 32, 20, 48, 0, 33))
	o := g.some(can(sign))
	if o == nil {
		return nil, nil
	}
	parms := lit(b2(digest), g.signScheme(), noTicket())
	if o.policy != nil && g.one(2) {
		return g.withPolicy(o, func(a auth) *step { return g.cmd(ccSign, []piece{o.h}, []auth{a}, parms) })
	}
	s := g.cmd(ccSign, []piece{o.h}, []auth{g.by(o.auth)}, parms)
	return s, func(ok bool) {
		if ok {
			// Verified at once, by the same key, most often with the same digest.
			check := digest
			if g.one(4) {
				check = g.bytes(32)
			}
			g.plan = append(g.plan, func() (*step, func(bool)) {
				if !g.supported[ccVerify] {
					return nil, nil
				}
				return g.cmd(ccVerify, []piece{o.h}, nil, lit(b2(check)), from(s.id, "signature")), nil
			})
		}
	}
}

// verify checks a signature that was made outside of any TPM.
func verify(g *generator) (*step, func(bool)) {
	o := g.some(typed(algRSA, sign))
	if o == nil {
		return nil, nil
	}
	digest := sha256.Sum256(g.bytes(10))
	sig, err := rsa.SignPKCS1v15(nil, g.out.rsa, 5, digest[:]) // crypto.SHA256
	if err != nil {
		return nil, nil
	}
	return g.cmd(ccVerify, []piece{o.h}, nil, lit(b2(digest[:]), scheme(algRSASSA, algSHA256), b2(sig))), nil
}

func rsaDecrypt(g *generator) (*step, func(bool)) {
	o := g.some(typed(algRSA, decrypt))
	if o == nil {
		return nil, nil
	}
	sch, label := g.rsaScheme(), []byte(nil)
	if g.one(4) {
		label = []byte("label\x00")
	}
	cipher := g.bytes(256)
	cipher[0] &= 0x3f
	if plain := g.bytes(g.below(64)); o.known {
		var err error
		if g.one(3) {
			cipher, err = rsa.EncryptPKCS1v15(rand.Reader, &g.out.rsa.PublicKey, plain) //nolint:staticcheck // a scheme of the TPM
		} else if g.one(2) {
			cipher, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, &g.out.rsa.PublicKey, plain, label)
		} else {
			cipher, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &g.out.rsa.PublicKey, plain, label)
		}
		if err != nil {
			return nil, nil
		}
	}
	return g.cmd(ccRSADecrypt, []piece{o.h}, []auth{g.by(o.auth)}, lit(b2(cipher), sch, b2(label))), nil
}

func certify(g *generator) (*step, func(bool)) {
	o, by := g.some(func(o *object) bool { return !o.sequence }), g.some(typed(algECC, sign))
	if o == nil || by == nil {
		return nil, nil
	}
	signer, value := by.h, by.auth
	if g.one(6) {
		signer, value = handle(rhNull), nil
	}
	return g.cmd(ccCertify, []piece{o.h, signer}, []auth{g.by(o.auth), g.by(value)}, lit(b2(g.bytes(g.below(20))), g.signScheme())), nil
}

// makeCredential makes a credential for a loaded key and opens it at once. The
// Name is that of the key itself, which a TPM allows.
func makeCredential(g *generator) (*step, func(bool)) {
	p := g.some(isParent)
	o := g.some(func(o *object) bool { return o.h.field != "" && !o.known && !o.sequence })
	if p == nil || o == nil {
		return nil, nil
	}
	name := framed(o.h.step, "name")
	s := g.cmd(ccMakeCred, []piece{p.h}, nil, lit(b2(g.bytes(g.below(33)))), name)
	return s, func(ok bool) {
		if ok && g.supported[ccActivate] {
			g.plan = append(g.plan, func() (*step, func(bool)) {
				return g.cmd(ccActivate, []piece{o.h, p.h}, []auth{g.by(o.auth), g.by(p.auth)}, framed(s.id, "blob"), framed(s.id, "secret")), nil
			})
		}
	}
}
