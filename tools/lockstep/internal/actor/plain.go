package actor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

const (
	// maxPages bounds the way from the authorization endpoint back to the app:
	// user name, password, "stay signed in", and redirects between them.
	maxPages = 8
	// maxPage bounds what is read of an answer, in bytes.
	maxPage = 1 << 20
)

// PlainApp is an app that knows of no broker. It sends its user to the sign-in
// page and redeems the code that comes back (RFC 6749 section 4.1, with RFC 7636).
type PlainApp struct {
	// Web reaches the cloud. It keeps the cookies of the sign-in pages and follows
	// no redirect by itself.
	Web *http.Client
	// Authority is the base address of the tenant's endpoints.
	Authority string
	// ClientID and RedirectURI are those of a public client.
	ClientID, RedirectURI string
}

// PlainTokens are what a plain app holds, the refresh token included.
type PlainTokens struct {
	Access, Refresh secret.Text
}

// SignIn brings the user to the sign-in page, where she types her name and her
// password.
func (a PlainApp) SignIn(ctx context.Context, user string, password secret.Text, scope string) (PlainTokens, error) {
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	code, err := a.authorize(ctx, url.Values{
		"client_id": {a.ClientID}, "redirect_uri": {a.RedirectURI}, "response_type": {"code"}, "scope": {scope}, "state": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}, user, password)
	if err != nil {
		return PlainTokens{}, fmt.Errorf("sign-in page: %w", err)
	}
	return a.redeem(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {a.RedirectURI}, "code_verifier": {verifier}, "scope": {scope},
	})
}

// Renew redeems the app's refresh token.
func (a PlainApp) Renew(ctx context.Context, t PlainTokens, scope string) (PlainTokens, error) {
	return a.redeem(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {t.Refresh.Reveal()}, "scope": {scope}})
}

// authorize walks the pages until one of them leads back to the app.
func (a PlainApp) authorize(ctx context.Context, query url.Values, user string, password secret.Text) (code string, err error) {
	next, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Authority+"/oauth2/v2.0/authorize?"+query.Encode(), nil)
	for range maxPages {
		if err != nil {
			return "", err
		}
		page, text, err := a.do(next) //nolint:bodyclose // do has read and closed it
		if err != nil {
			return "", err
		}
		if to, err := page.Location(); err == nil {
			if strings.HasPrefix(to.String(), a.RedirectURI) {
				return codeOf(to.Query(), query.Get("state"))
			}
			if next, err = http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil); err != nil {
				return "", err
			}
			continue
		}
		if next, err = fill(ctx, page, text, map[string]string{"login": user, "passwd": password.Reveal()}); err != nil {
			return "", err
		}
	}
	return "", errors.New("it does not come back to the app")
}

func codeOf(q url.Values, state string) (string, error) {
	switch {
	case q.Get("state") != state:
		return "", errors.New("the answer has another state")
	case q.Get("code") == "":
		return "", fmt.Errorf("%s: %s", q.Get("error"), q.Get("error_description"))
	default:
		return q.Get("code"), nil
	}
}

// fill types into the first form of a page and submits it.
func fill(ctx context.Context, page *http.Response, text string, typed map[string]string) (*http.Request, error) {
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	form := first(doc, "form")
	if form == nil {
		return nil, fmt.Errorf("status %d, and a page without a form", page.StatusCode)
	}
	to, err := page.Request.URL.Parse(attribute(form, "action"))
	if err != nil {
		return nil, err
	}
	values := url.Values{}
	for n := range form.Descendants() {
		if n.Type != html.ElementNode || n.Data != "input" || attribute(n, "name") == "" {
			continue
		}
		name := attribute(n, "name")
		values.Set(name, attribute(n, "value"))
		if attribute(n, "type") != "hidden" && typed[name] != "" {
			values.Set(name, typed[name])
		}
	}
	return post(ctx, to.String(), values)
}

func first(doc *html.Node, tag string) *html.Node {
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			return n
		}
	}
	return nil
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func (a PlainApp) redeem(ctx context.Context, grant url.Values) (PlainTokens, error) {
	grant.Set("client_id", a.ClientID)
	req, err := post(ctx, a.Authority+"/oauth2/v2.0/token", grant)
	if err != nil {
		return PlainTokens{}, err
	}
	_, text, err := a.do(req) //nolint:bodyclose // do has read and closed it
	if err != nil {
		return PlainTokens{}, err
	}
	var t struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		Description  string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return PlainTokens{}, fmt.Errorf("token endpoint: %w", err)
	}
	if t.AccessToken == "" {
		return PlainTokens{}, fmt.Errorf("token endpoint: %s", t.Description)
	}
	return PlainTokens{Access: secret.NewText(t.AccessToken), Refresh: secret.NewText(t.RefreshToken)}, nil
}

func post(ctx context.Context, to string, values url.Values) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(values.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// do sends a request and reads the answer to its end.
func (a PlainApp) do(req *http.Request) (*http.Response, string, error) {
	resp, err := a.Web.Do(req)
	if err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp, string(text), errors.Join(err, resp.Body.Close())
}
