package published

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	trustv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
)

// authority is a certificate in PEM.
func authority(t *testing.T) []byte {
	t.Helper()
	ca, err := rpc.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.Issue("idp")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := id.Save(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type nothing struct{}

func (nothing) Register(grpc.ServiceRegistrar) {}
func (nothing) Close() error                   { return nil }

// serve puts certificates at a door.
func serve(t *testing.T, c Certificates) grpc.ClientConnInterface {
	t.Helper()
	allow := rpc.AllowList{trustv1.CertificateService_GetCertificate_FullMethodName: {"idp"}}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "idp", Server: "adfs", Allow: allow}, func(r grpc.ServiceRegistrar) { c.Beside(nothing{}).Register(r) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return conn
}

func TestFetchTakesCertificatesAlone(t *testing.T) {
	ca := authority(t)
	conn := serve(t, Certificates{
		"good": ca, "two": append(append([]byte{}, ca...), ca...), "none": nil, "key": []byte("-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n"),
		"bad": []byte("-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"), "after": append(append([]byte{}, ca...), "x"...),
		"long": []byte(strings.Repeat(string(ca), MaxPEM/len(ca)+1)),
	})
	for name, want := range map[string]prterr.Kind{"none": prterr.NotFound, "other": prterr.NotFound, "key": prterr.Internal, "bad": prterr.Internal, "after": prterr.Internal, "long": prterr.Internal} {
		if _, err := Fetch(t.Context(), conn, name); prterr.KindOf(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]int{"good": 1, "two": 2} {
		if got, err := Fetch(t.Context(), conn, name); err != nil || strings.Count(string(got), "BEGIN CERTIFICATE") != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOnlyCertificatesLeave: neither a key that lies in the file of a certificate, nor half
// of one, nor what stands around, whoever asks; and who fetches takes none of it either.
func TestOnlyCertificatesLeave(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n"
	ca := string(authority(t))
	for name, text := range map[string]string{
		"a key": key, "a key after": ca + key, "a key before": key + ca, "a damaged key": strings.Replace(key, "MAo=", "*MAo=", 1) + ca,
		"words before": "password: hunter2\n" + ca,
	} {
		conn := serve(t, Certificates{"it": []byte(text)})
		r, err := trustv1.NewCertificateServiceClient(conn).GetCertificate(t.Context(), &trustv1.GetCertificateRequest{Name: "it"})
		if got := string(r.GetPem()); strings.Contains(got, "PRIVATE") || strings.Contains(got, "hunter2") || err == nil && got != ca {
			t.Errorf("%s left: %q, %v", name, got, err)
		}
		if got, err := only([]byte(text)); err == nil && string(got) != ca {
			t.Errorf("%s was taken: %q", name, got)
		}
	}
}

// late is a component that is not there for the first calls.
type late struct {
	grpc.ClientConnInterface
	missing int
}

func (l *late) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if l.missing--; l.missing >= 0 {
		return prterr.New(prterr.Unavailable, "nobody is there yet")
	}
	return l.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

func TestFetchWaitsForAComponentThatIsNotThereYet(t *testing.T) {
	conn := serve(t, Certificates{"good": authority(t)})
	if _, err := Fetch(t.Context(), &late{conn, 2}, "good"); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Fetch(ctx, &late{conn, 1 << 30}, "good"); err == nil {
		t.Error("it came from nobody")
	}
}
