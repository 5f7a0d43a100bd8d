package apptoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Sizes of what an app may send, in bytes.
const (
	maxSession  = 256
	maxResource = 512
	maxRedirect = 2048
	maxAccount  = 113 // the longest user principal name
)

// Fields is a request as it came, unchecked.
type Fields struct {
	Session, ClientID, Resource, RedirectURI string
	Force, Interactive                       bool
	Claims, Account                          string
}

// ParseRequest checks what an app sent. The error is prterr.Invalid and names
// the field and the fix; it never repeats what was sent.
func ParseRequest(f Fields) (Request, error) {
	session, err := ParseSession(f.Session)
	if err != nil {
		return Request{}, err
	}
	client, err := ids.ParseClient(f.ClientID)
	if err != nil {
		return Request{}, prterr.Wrap(prterr.Invalid, err, "client_id is not a GUID: use the application id of the app registration")
	}
	if err := checkResource(f.Resource); err != nil {
		return Request{}, prterr.New(prterr.Invalid, "resource %v: use an absolute URI such as https://graph.microsoft.com, a urn or a GUID", err)
	}
	if err := checkRedirect(f.RedirectURI); err != nil {
		return Request{}, prterr.New(prterr.Invalid, "redirect_uri %v: use one that is registered for the app, or leave it empty", err)
	}
	if err := checkClaims(f.Claims); err != nil {
		return Request{}, prterr.New(prterr.Invalid, "claims %v: send the challenge of the resource as it came", err)
	}
	if err := CheckAccount(f.Account); err != nil {
		return Request{}, err
	}
	return Request{
		Session:     session,
		Client:      client,
		Resource:    Resource(f.Resource),
		Redirect:    f.RedirectURI,
		Force:       f.Force,
		Interactive: f.Interactive,
		Claims:      f.Claims,
		Account:     f.Account,
	}, nil
}

// ParseSession checks a logon session.
func ParseSession(s string) (secret.Text, error) {
	if s == "" {
		return secret.Text{}, prterr.New(prterr.Invalid, "logon_session is empty: sign in and use the session of that sign-in")
	}
	if len(s) > maxSession {
		return secret.Text{}, prterr.New(prterr.Invalid, "logon_session is longer than %d bytes: use it as the sign-in gave it", maxSession)
	}
	return secret.NewText(s), nil
}

// CheckAccount takes the name of an account: a user principal name or an object id, or
// none.
func CheckAccount(s string) error {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return prterr.New(prterr.Invalid, "account has a character that is not allowed: use the user principal name or the object id")
		}
	}
	if len(s) > maxAccount {
		return prterr.New(prterr.Invalid, "account is longer than %d bytes: use the user principal name or the object id", maxAccount)
	}
	return nil
}

// checkClaims takes one JSON object (OpenID Connect Core, section 5.5), which the
// identity provider reads.
func checkClaims(s string) error {
	if s == "" {
		return nil
	}
	if len(s) > prterr.MaxClaims {
		return fmt.Errorf("is longer than %d bytes", prterr.MaxClaims)
	}
	var object map[string]json.RawMessage
	if err := jose.DecodeObject([]byte(s), &object); err != nil {
		return errors.New("is not one JSON object")
	}
	return nil
}

func checkResource(s string) error {
	if _, err := ids.ParseClient(s); err == nil {
		return nil // a resource may go by its application id
	}
	return checkURI(s, maxResource)
}

func checkRedirect(s string) error {
	if s == "" {
		return nil
	}
	return checkURI(s, maxRedirect)
}

// checkURI takes absolute URIs of printable ASCII without user name or fragment:
// both are ways to make one string mean two things to two readers.
func checkURI(s string, limit int) error {
	if s == "" {
		return errors.New("is empty")
	}
	if len(s) > limit {
		return fmt.Errorf("is longer than %d bytes", limit)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\' {
			return errors.New("has a character that is not allowed")
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || (u.Host == "" && u.Opaque == ""):
		return errors.New("is not an absolute URI")
	case u.User != nil:
		return errors.New("has a user name")
	case u.Fragment != "":
		return errors.New("has a fragment")
	}
	return nil
}
