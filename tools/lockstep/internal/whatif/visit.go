package whatif

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
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

// open visits the application. The window is new: it has no cookie of an earlier
// sign-in.
func (v visit) open(ctx context.Context, o *Outcome) error {
	address, headers, err := v.begin(ctx)
	if err != nil {
		return err
	}
	final, asked, err := v.desk.browse(ctx, address, headers)
	o.Asked = append(o.Asked, asked...)
	if err == nil {
		_, err = pageagent.Answer(final)
	}
	return o.ended(err)
}

// ended says how it ended; an error that is a fault of the simulation is handed back.
func (o *Outcome) ended(err error) error {
	switch {
	case err == nil && len(o.Asked) == 0:
		o.Result = Silent
	case err == nil:
		o.Result = Asked
	case refused(err):
		o.Result = Refused
		o.because(err)
	default:
		return err
	}
	return nil
}

// begin is the first request of a browser with the extension for single sign-on: it
// is sent back with a nonce, for which its native host makes a cookie.
func (v visit) begin(ctx context.Context) (address string, headers http.Header, err error) {
	address = v.address()
	if !v.prt {
		return address, nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("User-Agent", v.desk.agent())
	resp, err := v.desk.computer.client().Do(req)
	if err != nil {
		return "", nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	to := resp.Header.Get("Location")
	u, parsed := url.Parse(to)
	if err := errors.Join(err, resp.Body.Close(), parsed); err != nil {
		return "", nil, err
	}
	if u.Query().Get("sso_nonce") == "" {
		return address, nil, nil // it fetches no cookie from such a browser
	}
	headers, err = v.desk.cookie(ctx, to)
	return to, headers, err
}

// browse is a new window with the person before it.
func (k *desk) browse(ctx context.Context, address string, headers http.Header) (final string, asked []string, err error) {
	agent, err := pageagent.New(pageagent.Config{
		HTTP: k.computer.client(), Person: k.person.before(k.credential, k.only), UserAgent: k.agent(), Clock: k.world.clock,
	})
	if err != nil {
		return "", nil, err
	}
	defer k.person.reach()()
	final, asked, err = agent.Run(ctx, address, headers)
	if prterr.KindOf(err) == prterr.Denied && prterr.CodeOf(err) == 0 {
		return final, asked, errors.Join(errors.New("the pages cannot be walked through"), err)
	}
	return final, asked, err
}

// agent is how the browser names itself.
func (k *desk) agent() string { return platforms()[k.world.cfg.Platform].agent }
