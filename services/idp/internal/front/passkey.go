package front

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

const (
	// typePasskey is the member type of the form with a passkey's answer.
	typePasskey = "23"
	// maxCredential bounds the answer of an authenticator in bytes. The largest have
	// an attestation with a chain of certificates.
	maxCredential = 64 << 10
)

// passkeyBegin makes a challenge for the script that offers passkeys beside the
// names a browser remembers.
func (x *exchange) passkeyBegin() error {
	var q struct {
		FlowToken string `json:"flowToken"`
		Username  string `json:"username"`
	}
	if err := x.object(&q); err != nil {
		return err
	}
	a, err := x.signIn.BeginPasskey(x.ctx, &idpv1.BeginPasskeyRequest{Caller: x.caller(), FlowToken: q.FlowToken, UserPrincipalName: q.Username})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, struct {
		FlowToken string `json:"flowToken"`
		Options   string `json:"options"`
	}{a.GetFlowToken(), a.GetOptions()})
	return nil
}

// fido is the page that clients without a browser post to for a challenge: it
// stands in $Config, with where the answer goes.
func (x *exchange) fido() error {
	p, err := x.flowForm()
	if err != nil {
		return err
	}
	user := p["username"]
	a, err := x.signIn.BeginPasskey(x.ctx, &idpv1.BeginPasskeyRequest{Caller: x.caller(), FlowToken: x.flow, UserPrincipalName: user})
	if err != nil {
		return err
	}
	// The canary of the sign-in is called loginCanary here: canary is of the page before.
	page := &idpv1.SignInPage{Kind: idpv1.PageKind_PAGE_KIND_SIGN_IN, FlowToken: a.GetFlowToken(), Canary: p["canary"], SessionId: sessionOf(p), UserPrincipalName: user}
	if p["loginCanary"] != "" {
		page.Canary = p["loginCanary"]
	}
	c := x.config(page)
	c.PostURL = x.sibling(atLogin) + loginPath
	c.passkey(a.GetOptions())
	v := x.view(page, c)
	v.Stage, v.Options = byPasskey, a.GetOptions()
	return x.render(http.StatusOK, v, c)
}

// passkey puts a WebAuthn challenge into $Config, as clients without a browser read
// it.
func (c *pageConfig) passkey(options string) {
	if options == "" {
		return
	}
	c.FIDOChallenge, c.FIDOAllowList = challengeOf(options)
	c.CrossDomainCanary = c.Canary
}

// challengeOf reads challenge and credentials of WebAuthn options. Clients take the
// text of sFidoChallenge for the bytes of the challenge, so a challenge that is no
// printable ASCII cannot be told to them and is left out.
func challengeOf(options string) (challenge string, allowed []string) {
	var o struct {
		PublicKey json.RawMessage `json:"publicKey"`
		Challenge string          `json:"challenge"`
		Allow     []struct {
			ID string `json:"id"`
		} `json:"allowCredentials"`
	}
	if json.Unmarshal([]byte(options), &o) != nil {
		return "", nil
	}
	if o.PublicKey != nil && json.Unmarshal(o.PublicKey, &o) != nil {
		return "", nil
	}
	for _, c := range o.Allow {
		allowed = append(allowed, c.ID)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(o.Challenge, "="))
	if err != nil {
		return "", allowed
	}
	for _, b := range raw {
		if b <= ' ' || b > '~' {
			return "", allowed
		}
	}
	return string(raw), allowed
}

// flatCredential is an assertion as clients of the public service send it: the
// members of the answer beside the id.
type flatCredential struct {
	ID                string `json:"id"`
	ClientDataJSON    string `json:"clientDataJSON"`
	AuthenticatorData string `json:"authenticatorData"`
	Signature         string `json:"signature"`
	UserHandle        string `json:"userHandle"`
}

// credentialJSON bounds the answer of an authenticator and gives it the one form
// that is judged: PublicKeyCredential.toJSON (WebAuthn section 5.1.8). What has that
// form passes as it is; whether it is right, others say.
func credentialJSON(text string) (string, error) {
	bad := prterr.AADSTS(aadsts.MalformedRequest, "The answer of the passkey cannot be read: try again.")
	if text == "" {
		return "", prterr.AADSTS(aadsts.MissingField, "The form has no answer of a passkey: use the button, with scripts switched on.")
	}
	if len(text) > maxCredential {
		return "", bad
	}
	var members map[string]json.RawMessage
	if err := jose.DecodeObject([]byte(text), &members); err != nil {
		return "", bad
	}
	if members["response"] != nil {
		return text, nil
	}
	var flat flatCredential
	if err := json.Unmarshal([]byte(text), &flat); err != nil || flat.ID == "" {
		return "", bad
	}
	response := map[string]string{"clientDataJSON": flat.ClientDataJSON, "authenticatorData": flat.AuthenticatorData, "signature": flat.Signature}
	if flat.UserHandle != "" {
		response["userHandle"] = flat.UserHandle
	}
	for name, value := range response {
		response[name] = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(value), "=")
	}
	id := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(flat.ID), "=")
	out, err := encodeJSON(map[string]any{"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}})
	if err != nil {
		return "", bad
	}
	return string(out), nil
}
