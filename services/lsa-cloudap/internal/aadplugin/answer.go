package aadplugin

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// checkIssued reads a PRT answer as from a stranger. The id_token is unsigned: it
// is not what makes the PRT good, it says who the PRT claims to be for, and the
// callers compare that with who asked.
func checkIssued(prt string, expiresIn int64, jwe, idToken string) (issued, error) {
	life, ok := artefact.Life(expiresIn)
	switch {
	case !artefact.Opaque(prt, artefact.MaxPRT):
		return issued{}, badAnswer(idpName, "refresh_token is empty, too long or has a character that is not allowed")
	case !ok:
		return issued{}, badAnswer(idpName, "refresh_token_expires_in is not 1 second to 400 days")
	case jwe != "" && !artefact.Opaque(jwe, artefact.MaxSealedKey):
		return issued{}, badAnswer(idpName, "session_key_jwe is not a compact token")
	}
	who, err := readIDToken(idToken)
	if err != nil {
		return issued{}, err
	}
	return issued{identity: who, prt: secret.NewText(prt), life: life, wrappedKey: jwe}, nil
}

// identity is what an id_token says.
type identity struct {
	tenant ids.TenantID
	user   ids.UserID
	upn    ids.UPN // empty when the token names none
	name   string
	// methods and amr are how the user proved who they are, in our words and in the
	// protocol's.
	methods, amr []string
	// mfaTime is when a second factor was proven, in seconds since 1970, or 0.
	mfaTime int64
}

// mfa is what the token says of a second factor: "mfa" among the methods (RFC 8176), or
// methods without it. A token that lists none says nothing.
func (i identity) mfa() authorityv1.MFAState {
	switch {
	case slices.Contains(i.amr, "mfa"):
		return authorityv1.MFAState_MFA_STATE_YES
	case len(i.amr) > 0:
		return authorityv1.MFAState_MFA_STATE_NO
	default:
		return authorityv1.MFAState_MFA_STATE_UNSPECIFIED
	}
}

// is reports whether a partition is of the same user.
func (i identity) is(k partition.Key) bool { return i.tenant == k.Tenant && i.user == k.User }

// readIDToken reads an id_token, signed or not. Its signature would add nothing: the
// token is part of an answer that came straight from the identity provider (OpenID
// Connect Core 3.1.3.7, 6).
func readIDToken(compact string) (identity, error) {
	t, err := jose.ParseUnsigned(compact)
	if err != nil {
		if t, err = jose.Parse(compact); err != nil {
			return identity{}, badAnswer(idpName, "id_token is not a compact token")
		}
	}
	var claims entrawire.IDToken
	if err := t.Claims(&claims); err != nil {
		return identity{}, badAnswer(idpName, "id_token has malformed claims")
	}
	key, err := partition.ParseKey(claims.TID, claims.OID, string(partition.Password))
	if err != nil {
		return identity{}, badAnswer(idpName, "id_token has no oid and tid")
	}
	who := identity{tenant: key.Tenant, user: key.User, name: displayName(claims.Name), methods: claims.Methods, amr: claims.AMR, mfaTime: claims.MFATime}
	if claims.UPN != "" {
		if who.upn, err = ids.ParseUPN(claims.UPN); err != nil {
			return identity{}, badAnswer(idpName, "id_token has a malformed upn")
		}
	}
	return who, nil
}

// displayName keeps a name fit for a screen: printable and short. It decides
// nothing, so it is trimmed and not refused.
func displayName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > artefact.MaxName {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// mustBe refuses an answer that is for somebody else than the one who asked.
func (i issued) mustBe(tenant ids.TenantID, upn ids.UPN) error {
	switch {
	case i.tenant != tenant:
		return prterr.New(prterr.Denied, "%s: the PRT is for another tenant than the device's", idpName)
	case upn != "" && i.upn != upn:
		return prterr.New(prterr.Denied, "%s: the PRT is for another user than the one who signs in", idpName)
	}
	return nil
}
