package pageagent

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// step is what a page is answered with: a request, or the end.
type step struct {
	request *http.Request
	// final is the address that the run ends at.
	final string
}

func (v *visit) run(ctx context.Context, address string, headers http.Header) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", prterr.New(prterr.Invalid, "the address of the sign-in page is not right")
	}
	maps.Copy(req.Header, headers)
	next := step{request: req}
	for range maxRounds {
		if next.final != "" {
			return next.final, nil
		}
		if next, err = v.round(ctx, next.request); err != nil {
			return "", err
		}
	}
	return "", prterr.New(prterr.Denied, "the sign-in pages lead on and on")
}

// round sends one request, and follows a redirect or answers the page.
func (v *visit) round(ctx context.Context, req *http.Request) (step, error) {
	req.Header.Set("User-Agent", v.cfg.UserAgent)
	req.Header.Set("Accept", "text/html")
	resp, err := v.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return step{}, ctx.Err()
		}
		var with *url.Error // names the address, which has a code or a state in it
		if errors.As(err, &with) {
			err = with.Err
		}
		return step{}, prterr.Wrap(prterr.Unavailable, err, "the sign-in pages cannot be reached: %s", req.URL.Host)
	}
	defer func() { _ = resp.Body.Close() }()
	if to, err := resp.Location(); err == nil && resp.StatusCode/100 == 3 {
		return v.follow(ctx, to.String())
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err != nil || len(text) > maxPage {
		return step{}, prterr.New(prterr.Unavailable, "the sign-in page is cut off, or longer than %d bytes", maxPage)
	}
	p, err := parsePage(resp.Request.URL, text)
	if err != nil {
		return step{}, prterr.Wrap(prterr.Denied, err, "the sign-in page cannot be read")
	}
	p.status = resp.StatusCode
	return v.answer(ctx, p)
}

// follow goes on at another address by GET, or ends where the application waits.
func (v *visit) follow(ctx context.Context, address string) (step, error) {
	if v.ends(address) {
		return step{final: address}, nil
	}
	u, err := url.Parse(address)
	if err != nil || !v.opens(u) {
		return step{}, prterr.New(prterr.Denied, "a sign-in page leads to a place that was not named beforehand")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	return step{request: req}, err
}

// ends says whether an address is the answer to the application: its own address,
// with nothing but a query or a fragment behind it.
func (v *visit) ends(address string) bool {
	rest, ok := strings.CutPrefix(address, v.redirect)
	return ok && v.redirect != "" && (rest == "" || strings.IndexByte("?#&", rest[0]) >= 0)
}

// opens says whether the run may go to an address: a page of an origin that it was
// given. Nothing is sent anywhere else.
func (v *visit) opens(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && slices.Contains(v.origins, originOf(u)) && len(u.String()) <= maxAddress
}

// submit sends a form as a browser does, with the button that was pressed.
func (v *visit) submit(ctx context.Context, p *page, f *form, pressed *button, typed map[string]string) (step, error) {
	values := f.values(typed)
	if pressed != nil && pressed.name != "" {
		values.Set(pressed.name, pressed.value)
	}
	action := f.action
	if pressed != nil && pressed.action != "" {
		var err error
		if action, err = p.at.Parse(pressed.action); err != nil {
			return step{}, prterr.New(prterr.Denied, "a form leads nowhere")
		}
	}
	to := action.String()
	ends := v.ends(to)
	if len(typed) > 0 && (ends || f.method == http.MethodGet) {
		return step{}, prterr.New(prterr.Denied, "a form puts what is typed into an address")
	}
	if ends {
		return step{final: joined(to, values)}, nil
	}
	if !v.opens(action) {
		return step{}, prterr.New(prterr.Denied, "a form leads to a place that was not named beforehand")
	}
	if f.method == http.MethodGet {
		return v.follow(ctx, joined(to, values))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(values.Encode()))
	if err != nil {
		return step{}, prterr.New(prterr.Denied, "a form leads nowhere")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", originOf(p.at)) // as browsers do for every form that is posted
	return step{request: req}, nil
}

func joined(address string, values url.Values) string {
	joint := "?"
	if strings.Contains(address, "?") {
		joint = "&"
	}
	return address + joint + values.Encode()
}
