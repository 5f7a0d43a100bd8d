package actor

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
)

// edge is what a browser on Windows says it is.
const edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"

// Walk visits an address of the authorization endpoint over HTTPS and goes through
// whatever pages come, with a person before them. The identity provider sends the
// browser back for a nonce; a browser that is not private then has the native host
// make the PRT cookie. It answers with where it ended and what the person was asked.
func (b Browser) Walk(ctx context.Context, d Desktop, address string, pages pageagent.Config) (final string, prompts []string, err error) {
	pages.UserAgent = edge
	agent, err := pageagent.New(pages)
	if err != nil {
		return "", nil, err
	}
	headers := http.Header{}
	if !b.Private {
		if address, err = b.nonce(ctx, address, pages.HTTP); err != nil {
			return "", nil, err
		}
		if err := b.prove(ctx, d, address, headers); err != nil {
			return "", nil, err
		}
	}
	return agent.Run(ctx, address, headers)
}

// nonce asks once, and answers with the address that has a nonce in it; with the same
// one when there is none to get.
func (b Browser) nonce(ctx context.Context, address string, client *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", edge)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil || to.Query().Get("sso_nonce") == "" {
		return address, nil // a page, not a fault
	}
	return to.String(), nil
}

// prove puts what the native host answers with into the headers.
func (b Browser) prove(ctx context.Context, d Desktop, address string, headers http.Header) error {
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("sso_nonce") == "" || !slices.Contains(b.SignInURLs, u.Scheme+"://"+u.Host) {
		return err
	}
	cookies, err := b.Host.GetCookies(ctx, d, address, address)
	if err != nil {
		return err
	}
	for _, c := range cookies {
		headers.Set(c.Name, c.Value.Reveal())
	}
	return nil
}
