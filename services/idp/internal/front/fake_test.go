package front_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp/internal/front"
)

const (
	login = "login.microsoftonline.com"
	drs   = "enterpriseregistration.windows.net"
	graph = "graph.microsoft.com"

	tenantID = "6babcaad-604b-40ac-a9d7-9fd97c0b779f"
)

// cloud stands in for the services behind the front: it keeps what it was asked
// and answers as a test tells it. Everything crosses as bytes, as it would on a
// connection.
type cloud struct {
	mu      sync.Mutex
	asked   map[string]proto.Message
	answers map[string]func(proto.Message) (proto.Message, error)
}

func newCloud() *cloud {
	c := &cloud{asked: map[string]proto.Message{}, answers: map[string]func(proto.Message) (proto.Message, error){}}
	on(c, idpv1.NonceService_IssueNonce_FullMethodName, func(*idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
		return &idpv1.IssueNonceResponse{Nonce: "n0nce"}, nil
	})
	on(c, idpv1.MetadataService_DescribeTenant_FullMethodName, describe)
	return c
}

func describe(q *idpv1.DescribeTenantRequest) (*idpv1.DescribeTenantResponse, error) {
	switch strings.ToLower(q.GetTenant()) {
	case "common", "organizations", "consumers":
		return &idpv1.DescribeTenantResponse{}, nil
	case tenantID, "contoso.test":
		return &idpv1.DescribeTenantResponse{TenantId: tenantID, DisplayName: "Contoso", Domains: []string{"contoso.test"}, Region: "EU"}, nil
	}
	return nil, prterr.AADSTS(90002, "")
}

// on says how a method is answered.
func on[Q, A proto.Message](c *cloud, method string, f func(Q) (A, error)) {
	c.answers[method] = func(m proto.Message) (proto.Message, error) { return f(m.(Q)) }
}

// always answers a method with one message.
func always[A proto.Message](c *cloud, method string, a A) {
	c.answers[method] = func(proto.Message) (proto.Message, error) { return a, nil }
}

// refuse answers a method with an error.
func refuse(c *cloud, method string, err error) {
	c.answers[method] = func(proto.Message) (proto.Message, error) { return nil, err }
}

// asked is the last request of a method.
func asked[Q proto.Message](t testing.TB, c *cloud, method string) Q {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.asked[method].(Q)
	if !ok {
		t.Fatalf("%s was not called", method)
	}
	return m
}

func (c *cloud) called(method string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[method] != nil
}

// Invoke implements grpc.ClientConnInterface.
func (c *cloud) Invoke(_ context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	wire, err := proto.Marshal(args.(proto.Message))
	if err != nil {
		return prterr.FromStatus(status.Error(codes.Internal, err.Error()))
	}
	in := args.(proto.Message).ProtoReflect().New().Interface()
	if err := proto.Unmarshal(wire, in); err != nil {
		return err
	}
	c.mu.Lock()
	c.asked[method] = in
	answer := c.answers[method]
	c.mu.Unlock()
	if answer == nil {
		return prterr.FromStatus(status.Error(codes.Internal, method))
	}
	out, err := answer(in)
	if err != nil {
		return prterr.FromStatus(prterr.ToStatus(err))
	}
	proto.Merge(reply.(proto.Message), out)
	return nil
}

// NewStream implements grpc.ClientConnInterface; nothing streams.
func (*cloud) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams")
}

func newFront(t testing.TB, c *cloud) *front.Front {
	t.Helper()
	f, err := front.New(front.Config{Conn: c})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// reply is an answer as it came over the wire.
type reply struct {
	*http.Response
	text string
}

// raw writes bytes to a listening front and reads one answer. Lines of the head
// end as they should; the body is what follows the empty line, and its length is
// filled in.
func raw(t testing.TB, c *cloud, request string) reply {
	t.Helper()
	s := httptest.NewServer(newFront(t, c))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, wireForm(request)); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Header.Get("Content-Length") == "" || resp.TransferEncoding != nil {
		t.Errorf("%s: the answer has no Content-Length", method)
	}
	return reply{resp, string(body)}
}

// wireForm gives a request written for people the form of RFC 9112.
func wireForm(request string) string {
	head, body, _ := strings.Cut(strings.TrimLeft(request, "\n"), "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	if body != "" || strings.HasPrefix(head, "POST") || strings.HasPrefix(head, "PUT") {
		lines = append(lines, "Content-Length: "+itoa(len(body)))
	}
	return strings.Join(append(lines, "Connection: close"), "\r\n") + "\r\n\r\n" + body
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// json decodes the body into its raw members.
func (r reply) json(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.text), &m); err != nil {
		t.Fatalf("not JSON: %v: %.300s", err, r.text)
	}
	return m
}

// member is the JSON text of one member, "" when it is missing.
func (r reply) member(t testing.TB, name string) string {
	t.Helper()
	return string(r.json(t)[name])
}

func wantStatus(t testing.TB, r reply, status int) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("status %d, want %d: %.400s", r.StatusCode, status, r.text)
	}
}

func wantMember(t testing.TB, r reply, name, want string) {
	t.Helper()
	if got := r.member(t, name); got != want {
		t.Errorf("%s is %s, want %s", name, got, want)
	}
}

// post is a form at the token endpoint, as bytes.
func post(path, body string) string {
	return "POST " + path + " HTTP/1.1\nHost: " + login + "\nContent-Type: application/x-www-form-urlencoded\n\n" + body
}

func get(host, path string) string { return "GET " + path + " HTTP/1.1\nHost: " + host + "\n\n" }
