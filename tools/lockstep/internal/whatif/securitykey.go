package whatif

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/pageagent/passkey"
)

// securityInfo is where people register their methods.
const securityInfo = SignInOrigin + "/security-info"

// registerKey has a person register a security key on the pages for it.
func (c *cloud) registerKey(ctx context.Context, p *person) error {
	client := c.wire().client()
	var err error
	if client.Jar, err = cookiejar.New(nil); err != nil {
		return err
	}
	signedIn, err := signedInAt(ctx, client, p)
	if err != nil {
		return err
	}
	list, err := pageOf(ctx, client, signedIn, nil)
	if err != nil {
		return err
	}
	form, err := pageOf(ctx, client, securityInfo+"/begin", url.Values{"token": {list.value("token")}, "kind": {"fido2"}, "display_name": {"Security key"}})
	if err != nil {
		return err
	}
	key := passkey.New(passkey.Config{})
	credential, err := key.Create(SignInOrigin, []byte(form.attribute("data-options")))
	if err != nil {
		return err
	}
	_, err = pageOf(ctx, client, securityInfo+"/complete", url.Values{
		"token": {form.value("token")}, "kind": {"fido2"}, "registration": {form.value("registration")}, "credential": {string(credential)},
	})
	p.passkey = key
	return err
}

// signedInAt is where the pages go on once the person has signed in to them, as to any
// other application.
func signedInAt(ctx context.Context, client *http.Client, p *person) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, securityInfo, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	to, err := resp.Location()
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	agent, err := pageagent.New(pageagent.Config{HTTP: client, Person: p.before(Password, nil)})
	if err != nil {
		return "", err
	}
	final, _, err := agent.Run(ctx, to.String(), nil)
	return final, err
}

// document is a page as far as a form on it goes.
type document struct{ root *html.Node }

// pageOf gets a page, or posts a form when there is one, and follows where it leads.
func pageOf(ctx context.Context, client *http.Client, address string, form url.Values) (document, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	for range 4 {
		req, err := http.NewRequestWithContext(ctx, method, address, body)
		if err != nil {
			return document{}, err
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := client.Do(req)
		if err != nil {
			return document{}, err
		}
		root, err := html.Parse(io.LimitReader(resp.Body, maxAnswer))
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return document{}, err
		}
		d := document{root}
		switch to, gone := resp.Location(); {
		case gone == nil:
			method, body, form, address = http.MethodGet, nil, nil, to.String()
		case resp.StatusCode != http.StatusOK:
			return d, fmt.Errorf("the page answers with status %d", resp.StatusCode)
		default:
			return d, nil
		}
	}
	return document{}, errors.New("the pages lead on and on")
}

// first finds the first element that fits.
func (d document) first(fits func(*html.Node) bool) *html.Node {
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode && fits(n) {
			return n
		}
	}
	return nil
}

// value is what a field of that name holds.
func (d document) value(name string) string {
	return attribute(d.first(func(n *html.Node) bool { return n.Data == "input" && attribute(n, "name") == name }), "value")
}

// attribute is the first attribute of that name on the page.
func (d document) attribute(name string) string {
	return attribute(d.first(func(n *html.Node) bool { return attribute(n, name) != "" }), name)
}

// text is what an element with that id says.
func (d document) text(id string) string {
	n := d.first(func(n *html.Node) bool { return attribute(n, "id") == id })
	if n == nil {
		return ""
	}
	var words []string
	for inside := range n.Descendants() {
		if inside.Type == html.TextNode {
			words = append(words, strings.Fields(inside.Data)...)
		}
	}
	return strings.Join(words, " ")
}

func attribute(n *html.Node, name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
