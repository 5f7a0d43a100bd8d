package idp_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// claimsBeside are the claims of the unsigned ID token in an answer with a PRT.
func claimsBeside(t testing.TB, idToken string) entrawire.IDToken {
	t.Helper()
	token, err := jose.ParseUnsigned(idToken)
	if err != nil {
		t.Fatal(err)
	}
	var c entrawire.IDToken
	if err := token.Claims(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMFA03_MFA04_MFA02_WhatADeviceIsToldOfTheSecondFactor: beside a PRT stands how the user proved
// who they are and when, as the sealed PRT has it, in a first answer and in a renewal. A
// renewal moves neither time.
func TestMFA03_MFA04_MFA02_WhatADeviceIsToldOfTheSecondFactor(t *testing.T) {
	f := newFactors(t, withSecondFactor("24h"))
	told := func(s *signIn) entrawire.IDToken {
		t.Helper()
		next, answer := s.renew(t, s.renewal(t))
		c, prt := claimsBeside(t, answer.IDToken.Reveal()), f.artefact(t, sealed.PRT, next.prt)
		if c.AuthTime != prt.AuthTime.Unix() || c.MFATime != prt.MFATime || !slices.Equal(c.AMR, prt.AMR) {
			t.Errorf("told %d, %d and %v; the PRT says %d, %d and %v", c.AuthTime, c.MFATime, c.AMR, prt.AuthTime.Unix(), prt.MFATime, prt.AMR)
		}
		return c
	}
	d := f.join(t, mia, miaPassword, 1, 2)
	began := f.lab.Now().Unix()
	a, err := f.requestPRT(d.sign(t, d.claims(t, mia, miaPassword)))
	if err != nil {
		t.Fatal(err)
	}
	first := claimsBeside(t, a.GetIdToken())
	if first.MFATime != 0 || slices.Contains(first.AMR, "mfa") || first.AuthTime < began || first.AuthTime > f.lab.Now().Unix() {
		t.Errorf("of a password: %+v", first)
	}
	s := d.first(t, mia, miaPassword)
	f.lab.Advance(4 * time.Hour)
	if c := told(s); c.MFATime != 0 || f.lab.Now().Unix()-c.AuthTime < 4*3600 {
		t.Errorf("renewed: %+v", c)
	}
	after := f.upgrade(t, s)
	shown := f.artefact(t, sealed.PRT, after.prt).MFATime
	f.lab.Advance(4 * time.Hour)
	if c := told(after); c.MFATime != shown || !slices.Contains(c.AMR, "mfa") {
		t.Errorf("after a page with a second factor at %d: %+v", shown, c)
	}
	f.lab.Advance(21 * time.Hour) // past the life of an imprint
	if c := told(after); c.MFATime != 0 || slices.Contains(c.AMR, "mfa") {
		t.Errorf("an imprint that is over: %+v", c)
	}
	hello := f.hello(t, d, mia, 3)
	if c := told(hello); c.MFATime == 0 || !slices.Contains(c.AMR, "mfa") {
		t.Errorf("a Hello key: %+v", c)
	}
}

// TestOBS04_APRTsRowNamesTheSession: the row of the first request already has the name that every
// later row of the sign-in has.
func TestOBS04_APRTsRowNamesTheSession(t *testing.T) {
	f := newFactors(t, nil)
	s := f.join(t, mia, miaPassword, 1, 2).first(t, mia, miaPassword)
	issued := f.last(t, signinlog.IssuePRT).Session
	s, _ = s.renew(t, s.renewal(t))
	if err := s.use(t); err != nil {
		t.Fatal(err)
	}
	if renewed, used := f.last(t, signinlog.RenewPRT).Session, f.last(t, signinlog.RedeemPRT).Session; len(issued) != 22 || renewed != issued || used != issued {
		t.Errorf("issued in %q, renewed in %q, used in %q", issued, renewed, used)
	}
	f.upgrade(t, s)
	if again := f.last(t, signinlog.IssuePRT).Session; again == "" || strings.Contains(again, " ") {
		t.Errorf("the PRT of a page: %q", again)
	}
}
