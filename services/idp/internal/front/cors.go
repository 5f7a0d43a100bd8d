package front

import (
	"net/http"
	"net/url"
	"strings"
)

// openness says which pages of other origins may read an answer. Cookies never
// travel with such a request: Access-Control-Allow-Credentials is not sent.
type openness uint8

const (
	// nobody else's page.
	nobody openness = iota
	// everybody: what is public anyway, or needs a token in a header.
	everybody
	// asker: the origin that asks. Whether a grant may be redeemed from there is
	// decided by whoever knows the application; it is told the origin.
	asker
)

// open tells the browser who may read the answer.
func (x *exchange) open() {
	h := x.w.Header()
	origin := x.r.Header.Get("Origin")
	switch x.route.open {
	case everybody:
		h.Set("Access-Control-Allow-Origin", "*")
	case asker:
		h.Add("Vary", "Origin")
		if isOrigin(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
		}
	case nobody:
	}
	if x.route.open != nobody {
		h.Set("Access-Control-Expose-Headers", "Content-Length, Content-Encoding, X-Ms-Request-Id, Client-Request-Id, WWW-Authenticate")
	}
}

// preflight answers the question that a browser asks first.
func (x *exchange) preflight() {
	x.open()
	h := x.w.Header()
	h.Set("Access-Control-Allow-Methods", x.route.allow())
	if asked := x.r.Header.Get("Access-Control-Request-Headers"); asked != "" && len(asked) <= 2048 {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Content-Length", "0")
	x.status = http.StatusOK
	x.w.WriteHeader(x.status)
}

// fromElsewhere reports whether a browser says that a page of another site posts
// this. Clients that are no browsers say nothing.
func (x *exchange) fromElsewhere() bool {
	origin := x.r.Header.Get("Origin")
	if x.r.Method != http.MethodPost || origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, x.r.Host) && !x.isSibling(u)
}

// isOrigin reports whether a header is the origin of a page: https, or http on
// the machine itself.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || !isAuthority(u.Host) {
		return false
	}
	name := bareHost(u.Host)
	return u.Scheme == "https" || u.Scheme == "http" && (name == "localhost" || name == "127.0.0.1" || name == "::1" || name == "[::1]")
}
