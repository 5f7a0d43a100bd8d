// Package securityinfo plays a person at the security-info pages, who registers how
// they prove who they are.
//
// What lives here: the way through those pages over HTTPS, and reading what is on them.
// What never may: a component's insides; whoever registers here does what a browser
// would. The what-if simulation and tests of the whole system call it.
package securityinfo

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/pageagent/passkey"
)

// Config says who is at the pages, and how they are reached.
type Config struct {
	// HTTP reaches the pages and follows no redirect by itself. Its cookies are left
	// alone: the visit has its own.
	HTTP *http.Client
	// Origin of the sign-in pages, such as https://login.microsoftonline.com.
	Origin string
	// Person signs in to the pages.
	Person pageagent.Person
}

// Visitor is a person at the pages.
type Visitor struct {
	cfg    Config
	client http.Client
}

// New opens a browser for the person.
func New(cfg Config) (*Visitor, error) {
	if cfg.HTTP == nil || cfg.Origin == "" {
		return nil, errors.New("security info: HTTP and Origin are both needed")
	}
	v := &Visitor{cfg: cfg, client: *cfg.HTTP}
	var err error
	v.client.Jar, err = cookiejar.New(nil)
	return v, err
}

// RegisterKey has the person register a security key with a name of their own, and
// gives the key.
func (v *Visitor) RegisterKey(ctx context.Context, name string) (*passkey.Authenticator, error) {
	signedIn, err := v.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	list, err := v.page(ctx, signedIn, nil)
	if err != nil {
		return nil, err
	}
	form, err := v.page(ctx, v.at("/begin"), url.Values{"token": {list.value("token")}, "kind": {"fido2"}, "display_name": {name}})
	if err != nil {
		return nil, err
	}
	key := passkey.New(passkey.Config{})
	credential, err := key.Create(v.cfg.Origin, []byte(form.attribute("data-options")))
	if err != nil {
		return nil, err
	}
	_, err = v.page(ctx, v.at("/complete"), url.Values{
		"token": {form.value("token")}, "kind": {"fido2"}, "registration": {form.value("registration")}, "credential": {string(credential)},
	})
	return key, err
}

func (v *Visitor) at(path string) string { return v.cfg.Origin + "/security-info" + path }

// signedIn is where the pages go on once the person has signed in to them, as to any
// other application.
func (v *Visitor) signedIn(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.at(""), nil)
	if err != nil {
		return "", err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return "", err
	}
	to, err := resp.Location()
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	agent, err := pageagent.New(pageagent.Config{HTTP: &v.client, Person: v.cfg.Person})
	if err != nil {
		return "", err
	}
	final, _, err := agent.Run(ctx, to.String(), nil)
	return final, err
}
