package softtpm_test

import (
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

func policyAuthValue(tpm transport.TPM, h tpm2.TPMISHPolicy) error {
	_, err := tpm2.PolicyAuthValue{PolicySession: h}.Execute(tpm)
	return err
}

// "PIN or biometric unlock": PolicyOR of PolicyAuthValue and PolicySecret of a
// second object, on a key without userWithAuth.
func TestPolicyPINOrBiometric(t *testing.T) {
	tpm := newTPM(t, softtpm.Config{})
	root := srk(t, tpm)
	bio := made(t, tpm, root, sealTemplate(), "bio", []byte{1})
	secret := func(tp transport.TPM, h tpm2.TPMISHPolicy, pw string) error {
		_, err := tpm2.PolicySecret{AuthHandle: bio.pw(pw), PolicySession: h}.Execute(tp)
		return err
	}
	branches := tpm2.TPMLDigest{Digests: []tpm2.TPM2BDigest{
		trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error { return policyAuthValue(tpm, h) }),
		trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error { return secret(tpm, h, "bio") }),
	}}
	or := func(tp transport.TPM, h tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicyOr{PolicySession: h, PHashList: branches}.Execute(tp)
		return err
	}
	tmpl := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	tmpl.ObjectAttributes.NoDA, tmpl.ObjectAttributes.UserWithAuth = false, false
	tmpl.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error { return or(tpm, h) })
	k := made(t, tpm, root, tmpl, "1234", nil)

	policy := func(f func(transport.TPM, tpm2.TPMISHPolicy) error, opts ...tpm2.AuthOption) error {
		return try(tpm, k.with(tpm2.Policy(tpm2.TPMAlgSHA256, 16, func(tp transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
			if err := f(tp, h); err != nil {
				return err
			}
			return or(tp, h)
		}, opts...)))
	}
	pin := func(pin string) error { return policy(policyAuthValue, tpm2.Auth([]byte(pin))) }
	password := func(pin string) error { // by hand: go-tpm takes the nonce of the response for an error
		s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
		ok(t, err)
		defer func() { ok(t, end()) }()
		_, err = raw(tpm, 0x18c, []uint32{s.Handle().HandleValue()}, nil)
		ok(t, err)
		ok(t, or(tpm, s.Handle()))
		digest := append([]byte{0, 32}, make([]byte, 32)...)
		_, err = rawBy(tpm, 0x15d, []uint32{uint32(k.Handle)}, s.Handle().HandleValue(), []byte(pin),
			append(digest, 0, 0x10, 0x80, 0x24, 0x40, 0, 0, 7, 0, 0)...)
		return err
	}
	byBio := func(pw string) error {
		return policy(func(tp transport.TPM, h tpm2.TPMISHPolicy) error { return secret(tp, h, pw) })
	}
	wantRC(t, "password without the policy", try(tpm, k.pw("1234")), 0x12f)
	ok(t, pin("1234"))
	wantRC(t, "wrong PIN", pin("0"), 0x98e)
	ok(t, password("1234"))
	wantRC(t, "wrong PIN as password", password("0"), 0x98e)
	ok(t, byBio("bio"))
	wantRC(t, "wrong biometric secret", byBio("x"), 0x9a2)
	flush(t, tpm, 0x03000000) // go-tpm leaves the session of a failed callback
	wantRC(t, "neither branch", policy(func(transport.TPM, tpm2.TPMISHPolicy) error { return nil }), 0x1c4)
}

func TestPolicyLimits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tpm := newTPM(t, softtpm.Config{Now: func() time.Time { return now }})
	root := srk(t, tpm)
	endorsement := tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Name: tpm2.HandleName(tpm2.TPMRHEndorsement), Auth: tpm2.PasswordAuth(nil)}
	tmpl := ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)
	tmpl.ObjectAttributes.UserWithAuth = false
	tmpl.AuthPolicy = trialDigest(t, tpm, func(h tpm2.TPMISHPolicy) error {
		_, err := tpm2.PolicySecret{AuthHandle: endorsement, PolicySession: h}.Execute(tpm)
		return err
	})
	k := made(t, tpm, root, tmpl, "", nil)
	s, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16)
	ok(t, err)
	allow := func(p tpm2.PolicySecret) error {
		p.AuthHandle, p.PolicySession = endorsement, s.Handle()
		_, err := p.Execute(tpm)
		return err
	}
	ok(t, allow(tpm2.PolicySecret{Expiration: 10}))
	ok(t, try(tpm, k.with(s)))
	wantRC(t, "a policy is good for one use", try(tpm, k.with(s)), 0x99d)
	ok(t, allow(tpm2.PolicySecret{Expiration: 10}))
	now = now.Add(11 * time.Second)
	wantRC(t, "expired", try(tpm, k.with(s)), 0x9a3)
	restart := func() {
		_, err := raw(tpm, 0x180, []uint32{uint32(s.Handle())}, nil)
		ok(t, err)
	}
	restart()
	ok(t, allow(tpm2.PolicySecret{CPHashA: tpm2.TPM2BDigest{Buffer: span(0, 32)}}))
	wantRC(t, "other parameters than allowed", try(tpm, k.with(s)), 0x99d)
	restart()
	wantRC(t, "nonce of another time", allow(tpm2.PolicySecret{NonceTPM: tpm2.TPM2BNonce{Buffer: span(0, 16)}}), 0x1cf)
	wantRC(t, "expired before it came", allow(tpm2.PolicySecret{Expiration: -1}), 0x4e3)
	ok(t, end())
	trial, end, err := tpm2.PolicySession(tpm, tpm2.TPMAlgSHA256, 16, tpm2.Trial())
	ok(t, err)
	wantRC(t, "trial session authorizes nothing", try(tpm, k.with(trial)), 0x982)
	ok(t, end())
}
