package securityinfo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxAnswer bounds a page, in bytes.
const maxAnswer = 4 << 20

// document is a page as far as a form on it goes.
type document struct{ root *html.Node }

// page gets a page, or posts a form when there is one, and follows where it leads.
func (v *Visitor) page(ctx context.Context, address string, form url.Values) (document, error) {
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
		resp, err := v.client.Do(req)
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
