package softtpm_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// A key leaves with both wrappers, changes its outer one on the way and arrives.
func TestInnerWrapperAndRewrap(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{Slots: 6})
	root := srk(t, tpm)
	first, second := made(t, tpm, root, storageECC(), "", nil), made(t, tpm, root, storageECC(), "", nil)
	tmpl := skTemplate(false)
	tmpl.ObjectAttributes.EncryptedDuplication = true
	tmpl.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error { return policyCommand(tpm, h, 0x16c, u32(0x14b)...) })
	b := must[blob](t)(create(tpm, root, tmpl, "", span(0, 32)))
	k := must[key](t)(load(tpm, root, b))
	aes := u16(6, 128, 0x43)
	duplicate := func(to uint32, inner []byte, key []byte) ([]byte, error) {
		s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
		ok(t, err)
		defer func() { ok(t, end()) }()
		ok(t, policyCommand(tpm, s.Handle(), 0x16c, u32(0x14b)...))
		return rawBy(tpm, 0x14b, []uint32{uint32(k.Handle), to}, s.Handle().HandleValue(), []byte{}, cat(sized(key), inner)...)
	}
	_, err := duplicate(uint32(first.Handle), u16(0x10), nil)
	wantRC(t, "encryptedDuplication without an inner wrapper", err, 0x2d6)
	_, err = duplicate(hNull, aes, nil)
	wantRC(t, "encryptedDuplication without a parent", err, 0x285)
	_, err = duplicate(uint32(first.Handle), aes, span(0, 15))
	wantRC(t, "inner key of a wrong size", err, 0x1d5)
	r, err := duplicate(uint32(first.Handle), aes, nil)
	ok(t, err)
	next := func() []byte { // the next TPM2B of r
		n := 2 + int(be.Uint16(r))
		out := r[:n]
		r = r[n:]
		return out
	}
	r = r[4:]
	inner, dup, seed := next(), next(), next()
	w, err := raw(tpm, 0x152, []uint32{uint32(first.Handle), uint32(second.Handle)}, []byte{}, cat(dup, sized(k.Name.Buffer), seed)...)
	ok(t, err)
	r = w[4:]
	dup, seed = next(), next()
	arrive := func(parent key, inner []byte) ([]byte, error) {
		return raw(tpm, 0x156, []uint32{uint32(parent.Handle)}, []byte{}, cat(inner, tpm2.Marshal(b.Pub), dup, seed, aes)...)
	}
	_, err = arrive(second, sized(span(0, 16)))
	wantRC(t, "another inner key", err, 0x3df)
	_, err = arrive(first, inner)
	wantRC(t, "another parent", err, 0x3df)
	r, err = arrive(second, inner)
	ok(t, err)
	r = r[4:]
	flush(t, tpm, k.Handle)
	moved := must[key](t)(load(tpm, second, blob{b.Pub, tpm2.TPM2BPrivate{Buffer: next()[2:]}}))
	if got := must[[]byte](t)(hmacOf(tpm, moved.auth(), []byte("x"))); !bytes.Equal(got, mac(span(0, 32), []byte("x"))) {
		t.Error("another key arrived")
	}
}

// A running HMAC and a running hash go out of their slots and come back.
func TestSequenceContext(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	k := made(t, tpm, srk(t, tpm), skTemplate(true), "", span(0, 32))
	data := bytes.Repeat([]byte("data"), 100)
	h := sha256.Sum256(data)
	m := hmac.New(sha256.New, span(0, 32))
	m.Write(data)
	for _, v := range []struct {
		name  string
		start func(transport.TPM) (tpm2.TPMHandle, error)
		want  []byte
	}{
		{"hash", func(tp transport.TPM) (tpm2.TPMHandle, error) {
			r, err := tpm2.HashSequenceStart{HashAlg: tpm2.TPMAlgSHA256, Auth: tpm2.TPM2BAuth{Buffer: []byte("pw")}}.Execute(tp)
			if err != nil {
				return 0, err
			}
			return r.SequenceHandle, nil
		}, h[:]},
		{"HMAC", func(tp transport.TPM) (tpm2.TPMHandle, error) {
			r, err := tpm2.HmacStart{Handle: k.auth(), HashAlg: tpm2.TPMAlgNull, Auth: tpm2.TPM2BAuth{Buffer: []byte("pw")}}.Execute(tp)
			if err != nil {
				return 0, err
			}
			return r.SequenceHandle, nil
		}, m.Sum(nil)},
	} {
		s, err := v.start(tpm)
		ok(t, err)
		auth := tpm2.AuthHandle{Handle: s, Auth: tpm2.PasswordAuth([]byte("pw"))}
		_, err = tpm2.SequenceUpdate{SequenceHandle: auth, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data[:70]}}.Execute(tpm)
		ok(t, err)
		c, err := tpm2.ContextSave{SaveHandle: s}.Execute(tpm)
		ok(t, err)
		flush(t, tpm, s)
		l, err := tpm2.ContextLoad{Context: c.Context}.Execute(tpm)
		ok(t, err)
		auth.Handle = l.LoadedHandle
		r, err := tpm2.SequenceComplete{SequenceHandle: auth, Buffer: tpm2.TPM2BMaxBuffer{Buffer: data[70:]}, Hierarchy: tpm2.TPMRHOwner}.Execute(tpm)
		ok(t, err)
		if !bytes.Equal(r.Result.Buffer, v.want) {
			t.Errorf("%s: %x, want %x", v.name, r.Result.Buffer, v.want)
		}
	}
}

// ECDH_ZGen gives the point of crypto/ecdh, on every curve that agrees.
func TestECDH(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	for id, c := range map[tpm2.TPMECCCurve]ecdh.Curve{tpm2.TPMECCNistP256: ecdh.P256(), tpm2.TPMECCNistP384: ecdh.P384(), tpm2.TPMECCNistP521: ecdh.P521()} {
		tmpl := ecTemplate(id, tpm2.TPMAlgSHA256)
		tmpl.ObjectAttributes.SignEncrypt, tmpl.ObjectAttributes.Decrypt = false, true
		tmpl.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: id,
			Scheme: tpm2.TPMTECCScheme{Scheme: tpm2.TPMAlgECDH, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDH, &tpm2.TPMSKeySchemeECDH{HashAlg: tpm2.TPMAlgSHA256})}})
		k := made(t, tpm, root, tmpl, "", nil)
		mine, err := c.GenerateKey(rand.Reader)
		ok(t, err)
		half := len(mine.PublicKey().Bytes()) / 2
		x, y := mine.PublicKey().Bytes()[1:1+half], mine.PublicKey().Bytes()[1+half:]
		point := tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: x}, Y: tpm2.TPM2BECCParameter{Buffer: y}}
		r, err := tpm2.ECDHZGen{KeyHandle: k.auth(), InPoint: tpm2.New2B(point)}.Execute(tpm)
		ok(t, err)
		z := must[*tpm2.TPMSECCPoint](t)(r.OutPoint.Contents())
		u := must[*tpm2.TPMSECCPoint](t)(k.Pub.Unique.ECC())
		theirs, err := c.NewPublicKey(cat([]byte{4}, u.X.Buffer, u.Y.Buffer))
		ok(t, err)
		if want, err := mine.ECDH(theirs); err != nil || !bytes.Equal(z.X.Buffer, want) {
			t.Errorf("%v: %x, want %x (%v)", id, z.X.Buffer, want, err)
		}
		if _, err := c.NewPublicKey(cat([]byte{4}, z.X.Buffer, z.Y.Buffer)); err != nil {
			t.Errorf("%v: the point is not on the curve", id)
		}
		point.Y.Buffer = x
		_, err = tpm2.ECDHZGen{KeyHandle: k.auth(), InPoint: tpm2.New2B(point)}.Execute(tpm)
		wantRC(t, "a point off the curve", err, 0x1e7)
		flush(t, tpm, k.Handle)
	}
}
