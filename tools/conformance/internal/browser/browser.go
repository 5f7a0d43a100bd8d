// Package browser is a user in front of a browser: it follows redirects, carries
// cookies, reads the sign-in pages by their $Config and fills them in.
//
// What lives here: what a person and a script-running browser would do with the
// pages of Entra. What never may: anything that a client under test should do
// itself, such as redeeming a code. The browser command and the Go clients call it.
package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

const (
	maxHops = 20
	maxPage = 4 << 20
	// userAgent is a browser that knows nothing about brokers.
	userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
)

// Config is who sits there.
type Config struct {
	// Transport carries the requests; nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Username and Password are typed in.
	Username, Password string
	// OneTimeCode reads the authenticator; nil when the user has none.
	OneTimeCode func(context.Context) (string, error)
	// Credential is the value of x-ms-RefreshTokenCredential, or empty. It goes
	// to Login's sign-in paths, as a browser with an account extension sends it.
	Credential string
	// Login is the host that gets the credential.
	Login string
}

// Browser is one browser with one profile.
type Browser struct {
	cfg    Config
	client *http.Client
	trail  []string
	// away: name and password went to a federation provider.
	away bool
}

// New opens a browser with an empty profile.
func New(cfg Config) (*Browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &Browser{cfg: cfg, client: &http.Client{
		Transport: cfg.Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Trail is where the browser has been: status, method and address without query.
func (b *Browser) Trail() string { return strings.Join(b.trail, " > ") }

// step is the next request.
type step struct {
	method, url string
	form        url.Values
	json        any
	header      http.Header
}

func get(u string) step { return step{method: http.MethodGet, url: u} }

func post(u string, form url.Values) step { return step{method: http.MethodPost, url: u, form: form} }

// page is what came back.
type page struct {
	status int
	url    *url.URL
	header http.Header
	body   []byte
}

// Walk goes from an address until the browser is sent to one that begins with
// stop, by a redirect or by a form, and answers what was sent along. It does not
// go there.
func (b *Browser) Walk(ctx context.Context, start, stop string) (url.Values, error) {
	next := get(start)
	for range maxHops {
		p, err := b.do(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("%w after %s", err, b.Trail())
		}
		if next, err = b.after(ctx, p); err != nil {
			return nil, fmt.Errorf("%w after %s", err, b.Trail())
		}
		if hasPrefixFold(next.url, stop) {
			return sent(next)
		}
	}
	return nil, errors.New("too many hops: " + b.Trail())
}

// Visit walks to a page of this machine, such as the one where a client listens
// for the code, and opens it.
func (b *Browser) Visit(ctx context.Context, start string) error {
	for _, local := range [...]string{"http://localhost", "http://127.0.0.1"} {
		if strings.Contains(start, url.QueryEscape(local)) || strings.Contains(start, local) {
			return b.visit(ctx, start, local)
		}
	}
	return errors.New("the address names no page of this machine to go back to")
}

func (b *Browser) visit(ctx context.Context, start, local string) error {
	next := get(start)
	for range maxHops {
		p, err := b.do(ctx, next)
		if err != nil {
			return fmt.Errorf("%w after %s", err, b.Trail())
		}
		if hasPrefixFold(p.url.String(), local) {
			if p.status >= http.StatusBadRequest {
				return fmt.Errorf("the client's page says %d: %.200s", p.status, p.body)
			}
			return nil
		}
		if next, err = b.after(ctx, p); err != nil {
			return fmt.Errorf("%w after %s", err, b.Trail())
		}
	}
	return errors.New("too many hops: " + b.Trail())
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// sent collects query, fragment and form of a request that is not made.
func sent(s step) (url.Values, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return nil, err
	}
	all := u.Query()
	if fragment, err := url.ParseQuery(u.Fragment); err == nil {
		for k, v := range fragment {
			all[k] = v
		}
	}
	for k, v := range s.form {
		all[k] = v
	}
	return all, nil
}

func (b *Browser) do(ctx context.Context, s step) (page, error) {
	var body io.Reader
	kind := ""
	switch {
	case s.json != nil:
		raw, err := json.Marshal(s.json)
		if err != nil {
			return page{}, err
		}
		body, kind = bytes.NewReader(raw), "application/json; charset=UTF-8"
	case s.form != nil:
		body, kind = strings.NewReader(s.form.Encode()), "application/x-www-form-urlencoded"
	}
	req, err := http.NewRequestWithContext(ctx, s.method, s.url, body)
	if err != nil {
		return page{}, err
	}
	for k, v := range s.header {
		req.Header[k] = v
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if b.cfg.Credential != "" && strings.EqualFold(req.URL.Hostname(), b.cfg.Login) {
		req.Header.Set("x-ms-RefreshTokenCredential", b.cfg.Credential)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return page{}, err
	}
	b.trail = append(b.trail, fmt.Sprintf("%d %s %s%s", res.StatusCode, s.method, req.URL.Host, req.URL.Path))
	return page{res.StatusCode, req.URL, res.Header, raw}, nil
}
