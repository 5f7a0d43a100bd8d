package whatif

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// visit is the way of a browser window to an application and back.
type visit struct {
	desk *desk
	app  App
	// prt says that the browser has an extension that brings the PRT.
	prt bool
}

// address is where the application sends its user to sign in (RFC 6749 section
// 4.1.1 with RFC 7636, at the endpoint that takes a resource).
func (v visit) address() string {
	sum := sha256.Sum256([]byte(rand.Text()))
	q := url.Values{
		"client_id": {v.app.Client}, "redirect_uri": {v.app.Redirect}, "response_type": {"code"}, "response_mode": {"query"}, "resource": {v.app.Resource},
		"state": {rand.Text()}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		"login_hint": {v.desk.person.name()},
	}
	return SignInOrigin + "/" + string(v.desk.world.cloud.tenant.ID) + "/oauth2/authorize?" + q.Encode()
}

// open visits the application.
func (v visit) open(ctx context.Context, o *Outcome) error {
	to, text, err := v.get(ctx, v.address(), http.Header{})
	if err != nil {
		return err
	}
	if nonce, err := url.Parse(to); to != "" && err == nil && nonce.Query().Get("sso_nonce") != "" {
		headers := http.Header{}
		if v.prt {
			if headers, err = v.desk.cookie(ctx, to); err != nil {
				return err
			}
		}
		if to, text, err = v.get(ctx, to, headers); err != nil {
			return err
		}
	}
	return v.ended(to, text, o)
}

func (v visit) get(ctx context.Context, address string, headers http.Header) (to, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", "", err
	}
	req.Header = headers
	req.Header.Set("User-Agent", platforms()[v.desk.world.cfg.Platform].agent)
	resp, err := v.desk.computer.client().Do(req)
	if err != nil {
		return "", "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.Header.Get("Location"), string(body), errors.Join(err, resp.Body.Close())
}

// ended reads where the window is now.
func (v visit) ended(to, text string, o *Outcome) error {
	if strings.HasPrefix(to, v.app.Redirect) {
		u, err := url.Parse(to)
		switch {
		case err != nil:
			return err
		case u.Query().Get("code") != "":
			o.Result = Silent
			return nil
		default:
			return o.refusedWith(u.Query().Get("error_description"))
		}
	}
	_, config, found := strings.Cut(text, "$Config=")
	config, _, closed := strings.Cut(config, ";\n//]]>")
	var c struct {
		Page   string `json:"pgid"`
		Number int    `json:"iErrorCode"`
		Text   string `json:"strServiceExceptionMessage"`
	}
	if err := json.Unmarshal([]byte(config), &c); !found || !closed || err != nil {
		return errors.New("there is a page without $Config")
	}
	switch c.Page {
	case "ConvergedSignIn":
		o.Result, o.Asked = Asked, []string{"sign-in"}
	case "ConvergedTFA":
		o.Result, o.Asked = Asked, []string{"second factor"}
	default:
		o.Result, o.Code, o.Reason = Refused, c.Number, c.Text
	}
	return nil
}

// refusedWith reads a description such as "AADSTS53000: ...".
func (o *Outcome) refusedWith(description string) error {
	number, words, _ := strings.Cut(strings.TrimPrefix(description, "AADSTS"), ":")
	code, err := strconv.Atoi(number)
	if err != nil {
		return errors.New("the application got an error without a code")
	}
	words, _, _ = strings.Cut(words, "\n")
	o.Result, o.Code, o.Reason = Refused, code, strings.TrimSpace(words)
	return nil
}
