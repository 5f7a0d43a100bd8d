// Package profile is the table of behaviours a tenant can choose from.
//
// What lives here: one row of data per profile. What never may: a decision; the
// rooms read the row of the tenant at hand and act. Whoever wants to know how
// "strict" differs from "today" reads Table and nothing else.
package profile

import (
	"fmt"
	"time"
)

// Name of a profile.
type Name string

// The profiles.
const (
	// Y2020 behaves as the public service did in the summer of 2020.
	Y2020 Name = "2020"
	// Today behaves as it does now. It is the default.
	Today Name = "today"
	// Strict is safer than any deployment that has to be compatible.
	Strict Name = "strict"
)

// KDF1 says when version 1 of the key derivation is good enough.
type KDF1 int

// The rules for version 1, which does not bind the payload.
const (
	KDF1Never KDF1 = iota
	// KDF1PerPRT takes it for a PRT whose issuing request did not announce
	// version 2.
	KDF1PerPRT
	KDF1Always
)

// HelloKey says when a Windows Hello key may sign in on another device than the
// one it was registered from.
type HelloKey int

// The rules for a Hello key on another device.
const (
	// HelloSameDevice refuses it.
	HelloSameDevice HelloKey = iota
	// HelloSameNonce takes it when assertion and request have one nonce, so that
	// they were made together (CVE-2023-35348).
	HelloSameNonce
	// HelloAnywhere takes it.
	HelloAnywhere
)

// Profile is one row.
type Profile struct {
	Name Name
	// NonceOnce lets a nonce be used in one request only. Otherwise it may stand
	// in several different requests while it is fresh, as some clients need.
	NonceOnce bool
	// RequestOnce refuses a signed request that was taken before.
	RequestOnce bool
	// DatedCookieAge is how old a PRT cookie with a date in place of a nonce may
	// be; zero refuses that form.
	DatedCookieAge time.Duration
	// KDF1 is the rule for version 1 of the key derivation.
	KDF1 KDF1
	// TokensDieWithDevice refuses an app's refresh token when the device it was
	// issued on is disabled or gone. A PRT always dies with its device.
	TokensDieWithDevice bool
	// PlainTokens lets a refresh token that descends from a PRT be redeemed without
	// the session key's signature, by a client that got it through a browser and
	// cannot sign. A stolen one is then good anywhere.
	PlainTokens bool
	// FamilyTokens lets the listed clients redeem each other's refresh tokens.
	FamilyTokens bool
	// TellsUnknownUsers answers that a user does not exist, as the public service
	// does. Otherwise an unknown name looks like a wrong password.
	TellsUnknownUsers bool
	// AssertionOnce refuses a client assertion that was taken before. Libraries use
	// one for as long as it lives, so only a strict tenant can ask for it.
	AssertionOnce bool
	// DeviceCodePRT lets a refresh token that was got by device code become a PRT:
	// some clients register that way, and so does who phishes.
	DeviceCodePRT bool
	// LooseUpgrades lets any refresh token of the broker become a PRT, on any device of
	// its tenant unless it is bound to one. Otherwise one that is not bound must come of
	// the sign-in that registered the device, shortly before.
	LooseUpgrades bool
	// HelloKey is the rule for a Hello key on another device.
	HelloKey HelloKey
	// WrittenKeys takes Hello keys that an administrator wrote into the directory.
	// Otherwise only what a device registered signs in: who may write an attribute
	// need not be able to become every user.
	WrittenKeys bool
	// AttestedKeys takes only devices whose keys a trusted TPM vouches for, at
	// registration and ever after. Without it a stolen key is as good as its device.
	AttestedKeys bool
	// ChallengeOnce lets an attestation challenge be answered once. Otherwise a
	// device that lost the answer to its registration may send it again.
	ChallengeOnce bool
}

// Table lists every profile.
func Table() []Profile {
	return []Profile{
		{Name: Y2020, DatedCookieAge: 35 * time.Minute, KDF1: KDF1Always, PlainTokens: true, FamilyTokens: true, DeviceCodePRT: true, LooseUpgrades: true, HelloKey: HelloAnywhere, WrittenKeys: true, TellsUnknownUsers: true},
		{Name: Today, RequestOnce: true, KDF1: KDF1PerPRT, PlainTokens: true, FamilyTokens: true, DeviceCodePRT: true, LooseUpgrades: true, HelloKey: HelloSameNonce, WrittenKeys: true, TellsUnknownUsers: true},
		{Name: Strict, RequestOnce: true, NonceOnce: true, KDF1: KDF1Never, TokensDieWithDevice: true, AssertionOnce: true, AttestedKeys: true, ChallengeOnce: true},
	}
}

// Lookup finds the row of a name; the empty name is Today.
func Lookup(n Name) (Profile, error) {
	if n == "" {
		n = Today
	}
	for _, p := range Table() {
		if p.Name == n {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("unknown profile: use 2020, today or strict")
}

// TakesKDF reports whether a request that was derived by version ver (0 is
// absent, and the same as 1) is good enough for an artefact that demands at
// least version least. Version 3 goes with its own artefacts alone, in every
// profile: their session key was given to one TPM and to nobody who could derive
// in another way, and no other session key was.
func (p Profile) TakesKDF(ver, least int) bool {
	switch {
	case ver == 3 || least == 3:
		return ver == least
	case ver >= 2:
		return true
	case p.KDF1 == KDF1PerPRT:
		return least < 2
	default:
		return p.KDF1 == KDF1Always
	}
}
