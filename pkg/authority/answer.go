package authority

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// maxMoment is the end of the year 9999, in seconds since 1970.
const maxMoment = 253402300799

// Identity is what an id_token says.
type Identity struct {
	Tenant ids.TenantID
	User   ids.UserID
	// UPN is empty when the token names none.
	UPN  ids.UPN
	Name string
	// Methods and AMR are how the user proved who they are, in our words and in the
	// protocol's.
	Methods, AMR []string
	// AuthTime is when they last proved it, MFATime when they last showed a second
	// factor; zero is not said, and never.
	AuthTime, MFATime time.Time
}

// Is reports whether a PRT is of the same user.
func (i Identity) Is(k Key) bool { return i.Tenant == k.Tenant && i.User == k.User }

// ReadIDToken reads an id_token, signed or not. Its signature would add nothing: the
// token is part of an answer that came straight from the identity provider (OpenID
// Connect Core 3.1.3.7, 6).
func ReadIDToken(compact string) (Identity, error) {
	t, err := jose.ParseUnsigned(compact)
	if err != nil {
		if t, err = jose.Parse(compact); err != nil {
			return Identity{}, BadAnswer(idpName, "id_token is not a compact token")
		}
	}
	var claims entrawire.IDToken
	if err := t.Claims(&claims); err != nil {
		return Identity{}, BadAnswer(idpName, "id_token has malformed claims")
	}
	who := Identity{Name: displayName(claims.Name), Methods: claims.Methods, AMR: claims.AMR, AuthTime: moment(claims.AuthTime), MFATime: moment(claims.MFATime)}
	var err2 error
	who.Tenant, err = ids.ParseTenant(claims.TID)
	who.User, err2 = ids.ParseUser(claims.OID)
	if err != nil || err2 != nil {
		return Identity{}, BadAnswer(idpName, "id_token has no oid and tid")
	}
	if claims.UPN != "" {
		if who.UPN, err = ids.ParseUPN(claims.UPN); err != nil {
			return Identity{}, BadAnswer(idpName, "id_token has a malformed upn")
		}
	}
	return who, nil
}

// moment is a time in seconds since 1970; what is out of range was not said.
func moment(seconds int64) time.Time {
	if seconds <= 0 || seconds > maxMoment {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
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

// issuedPRT is a PRT answer before it was read.
type issuedPRT struct {
	prt, wrapped, idToken string
	expiresIn             int64
}

// read reads a PRT answer as from a stranger. The id_token is unsigned: it is not what
// makes the PRT good, it says who the PRT claims to be for, and the callers compare
// that with who asked.
func (a issuedPRT) read() (Issued, error) {
	var life time.Duration
	life, ok := artefact.Life(a.expiresIn)
	switch {
	case !artefact.Opaque(a.prt, artefact.MaxPRT):
		return Issued{}, BadAnswer(idpName, "refresh_token is empty, too long or has a character that is not allowed")
	case !ok:
		return Issued{}, BadAnswer(idpName, "refresh_token_expires_in is not 1 second to 400 days")
	case a.wrapped != "" && !artefact.Opaque(a.wrapped, artefact.MaxSealedKey):
		return Issued{}, BadAnswer(idpName, "session_key_jwe is not a compact token")
	}
	who, err := ReadIDToken(a.idToken)
	if err != nil {
		return Issued{}, err
	}
	return Issued{Identity: who, PRT: secret.NewText(a.prt), Life: life, WrappedKey: a.wrapped}, nil
}

// mustBe refuses an answer that is for somebody else than the one who asked.
func (i Issued) mustBe(tenant ids.TenantID, upn ids.UPN) error {
	switch {
	case i.Tenant != tenant:
		return prterr.New(prterr.Denied, "%s: the PRT is for another tenant than the device's", idpName)
	case upn != "" && i.UPN != upn:
		return prterr.New(prterr.Denied, "%s: the PRT is for another user than the one who signs in", idpName)
	}
	return nil
}
