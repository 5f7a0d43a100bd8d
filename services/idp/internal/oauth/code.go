package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/replay"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// Code redeems an authorization code.
type Code struct {
	Code         secret.Text
	RedirectURI  string
	CodeVerifier secret.Text
	// WindowsAPIVersion asks for an answer under the session key of the session that
	// made the code.
	WindowsAPIVersion string
	// PRTProtocol other than 0 asks for a PRT without a device: 3 or 4. TransportKey
	// is the JWK that its session key is wrapped for.
	PRTProtocol  int
	TransportKey string
}

func (Code) flow() signinlog.Flow { return signinlog.AuthorizationCode }

func (c Code) redeem(ctx context.Context, x *exchange) (Answer, error) {
	code, err := x.open(sealed.Code, c.Code)
	if err != nil {
		return Answer{}, err
	}
	defer code.SessionKey.Wipe()
	if err := x.enter(code.Tenant); err != nil {
		return Answer{}, err
	}
	if err := x.find(); err != nil {
		return Answer{}, err
	}
	// Code in a browser keeps no secret, even where the application has one for
	// its server.
	if !code.SPA {
		if err := x.prove(ctx); err != nil {
			return Answer{}, err
		}
	}
	if err := c.bound(ctx, x, code); err != nil {
		return Answer{}, err
	}
	if c.PRTProtocol != 0 {
		return c.devicelessPRT(ctx, x, code)
	}
	a, err := x.audience(code.Scope, code.Resource)
	if err != nil {
		return Answer{}, err
	}
	answer, err := x.tokens(ctx, code, a, nil)
	if err != nil || !c.encrypted(code) {
		return answer, err
	}
	return encrypt(code, answer)
}

// open reads an artefact that came over the wire. A PRT, or anything else that is
// not of the wanted type, is AADSTS70000 and no more is said.
func (x *exchange) open(want sealed.Type, text secret.Text) (sealed.Artefact, error) {
	if text.Empty() {
		return sealed.Artefact{}, prterr.AADSTS(aadsts.MissingParameter, "%s is missing", map[sealed.Type]string{sealed.Code: "code"}[want])
	}
	a, err := x.gate.Authority.Open(want, text)
	if err != nil {
		return sealed.Artefact{}, prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	x.event.Device = a.Device
	return a, nil
}

// bound checks that whoever redeems the code is who it was made for: application,
// redirect address, proof key, page; that it has not ended; and, last, that it is
// redeemed for the first time. A code is used up by a request that meets all of
// the rest, and not by a stranger's guess.
func (c Code) bound(ctx context.Context, x *exchange, code sealed.Artefact) error {
	switch {
	case code.Client != x.client || code.ID == "":
		return prterr.AADSTS(aadsts.InvalidGrant, "the code was made for another application")
	case code.RedirectURI != c.RedirectURI:
		return prterr.AADSTS(aadsts.InvalidGrant, "redirect_uri is not the one that the code was made for")
	case x.gate.Clock.Now().After(code.Expires):
		return prterr.AADSTS(aadsts.ExpiredGrant, "")
	}
	if err := fromBrowser(x.Caller.Origin, code); err != nil {
		return err
	}
	if err := c.provesKey(code); err != nil {
		return err
	}
	first, err := x.gate.Replays.UseOnce(ctx, replay.Digest(sha256.Sum256([]byte("code|"+code.ID))), code.Issued, code.Expires)
	if err == nil && !first {
		return prterr.AADSTS(aadsts.CodeRedeemed, "")
	}
	return err
}

// fromBrowser: what went to code in a browser is for a page of the same origin, and
// what did not is for no page at all.
func fromBrowser(origin string, a sealed.Artefact) error {
	switch {
	case !a.SPA && origin != "":
		return prterr.AADSTS(aadsts.CrossOriginNotAllowed, "")
	case a.SPA && (origin == "" || origin != originOf(a.RedirectURI)):
		return prterr.AADSTS(aadsts.CrossOriginOnly, "")
	}
	return nil
}

func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// provesKey checks the proof key of RFC 7636. A verifier for a code without a
// challenge is refused too: it means that somebody took the challenge out on the
// way (RFC 9700 section 2.1.1).
func (c Code) provesKey(code sealed.Artefact) error {
	mismatch := prterr.AADSTS(aadsts.CodeVerifierMismatch, "")
	verifier := c.CodeVerifier.Reveal()
	if code.Challenge == "" {
		switch {
		case code.SPA:
			return prterr.AADSTS(aadsts.ProofKeyRequired, "")
		case verifier != "":
			return mismatch
		}
		return nil
	}
	method, challenge, _ := strings.Cut(code.Challenge, ":")
	if len(verifier) < 43 || len(verifier) > 128 || challenge == "" {
		return mismatch
	}
	var given string
	switch method {
	case "S256":
		sum := sha256.Sum256([]byte(verifier))
		given = jose.EncodeSegment(sum[:])
	case "plain":
		given = verifier
	default:
		return mismatch
	}
	if subtle.ConstantTimeCompare([]byte(given), []byte(challenge)) != 1 {
		return mismatch
	}
	return nil
}

// encrypted reports whether the answer goes under the session key of the session
// that made the code. A client that holds that key says so with
// windows_api_version; then, and where the code demands it, whoever stole the code
// gets nothing to read.
func (c Code) encrypted(code sealed.Artefact) bool {
	return code.SessionKey.Len() > 0 && (code.Encrypted || c.WindowsAPIVersion != "")
}

// encrypt puts an answer under the session key of the code, in the form of an answer
// to a session-signed request.
func encrypt(code sealed.Artefact, a Answer) (Answer, error) {
	t := a.Tokens
	seconds := int64(t.Lifetime.Seconds())
	plain, err := entrawire.TokenAnswer{
		TokenType: a.TokenType, Scope: a.Scope, ExpiresIn: seconds, ExtExpiresIn: seconds, ExpiresOn: t.Issued.Unix() + seconds, Resource: a.Resource,
		AccessToken: t.Access, RefreshToken: t.Refresh, IDToken: t.ID, ClientInfo: a.ClientInfo,
	}.Encode()
	if err != nil {
		return Answer{}, err
	}
	defer clear(plain)
	text, err := issuance.SealAnswer(code, plain)
	return Answer{Encrypted: text}, err
}
