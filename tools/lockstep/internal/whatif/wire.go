package whatif

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/html"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entracarrier"
)

// wire is the way of one computer to the cloud: every request goes to the handler
// that HTTPS would bring it to, without the network between. What a server learns
// from the network is said here: where it comes from, which certificate the client
// proved.
type wire struct {
	handler http.Handler
	from    string
	// proven is the certificate of whoever sits at the computer, which TLS proves to the
	// host that asks for one, or nil.
	proven *x509.Certificate
	// shown is the newest page.
	shown atomic.Pointer[[]byte]
	// cell is the id of the cell under way, which a client sends that wants to find
	// its requests in the sign-in log.
	cell atomic.Pointer[string]
}

// begin marks the requests from now on.
func (w *wire) begin(id string) {
	w.cell.Store(&id)
	w.shown.Store(nil)
}

// peer is what a component of a device has for the identity provider: Entra's HTTPS
// protocol, as over a network.
func (w *wire) peer() (grpc.ClientConnInterface, error) {
	return entracarrier.New(entracarrier.Config{Login: SignInOrigin, Client: w.client()})
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 4 << 20

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(out *http.Request) (*http.Response, error) {
	if out.URL.Scheme != "https" {
		return nil, errors.New("the cloud is spoken to over https")
	}
	in := out.Clone(out.Context())
	in.RequestURI, in.RemoteAddr = out.URL.RequestURI(), net.JoinHostPort(w.from, "50000")
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: out.URL.Hostname()}
	if w.proven != nil && strings.HasPrefix(out.URL.Hostname(), "certauth.") {
		in.TLS.PeerCertificates = []*x509.Certificate{w.proven}
	}
	if in.Host == "" {
		in.Host = out.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if id := w.cell.Load(); id != nil {
		in.Header.Set("client-request-id", *id)
	}
	answer := &recorder{header: http.Header{}}
	w.handler.ServeHTTP(answer, in)
	_ = in.Body.Close()
	if answer.over {
		return nil, errors.New("the answer is larger than any that the cloud gives")
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	body := answer.body.Bytes()
	if strings.HasPrefix(answer.header.Get("Content-Type"), "text/html") {
		w.shown.Store(&body)
	}
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: out,
		TLS: in.TLS,
	}, nil
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	over   bool
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.body.Len()+len(b) > maxAnswer {
		r.over = true
		return 0, errors.New("answer too large")
	}
	return r.body.Write(b)
}

// guidance is what the newest page tells the user to do instead of what it offers.
func (w *wire) guidance() string {
	page := w.shown.Load()
	if page == nil {
		return ""
	}
	root, err := html.Parse(bytes.NewReader(*page))
	if err != nil {
		return ""
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "id" && a.Val == "guidance" }) {
			return wordsOf(n)
		}
	}
	return ""
}

func wordsOf(n *html.Node) string {
	var words []string
	for inside := range n.Descendants() {
		if inside.Type == html.TextNode {
			words = append(words, strings.Fields(inside.Data)...)
		}
	}
	return strings.Join(words, " ")
}

// client is an HTTP client of that computer. Redirects are the caller's business.
func (w *wire) client() *http.Client {
	return &http.Client{Transport: w, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
