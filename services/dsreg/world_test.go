package dsreg_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg"
)

// tap is a connection that can be cut and remembers what was sent.
type tap struct {
	grpc.ClientConnInterface
	mu   sync.Mutex
	down bool
	sent map[string][]byte
	// allowed is how long the last call of a method could have taken.
	allowed map[string]time.Duration
}

func (c *tap) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c.mu.Lock()
	down := c.down
	if m, ok := args.(proto.Message); ok {
		data, _ := proto.Marshal(m)
		c.sent[method] = append(c.sent[method], data...)
	}
	if d, ok := ctx.Deadline(); ok {
		c.allowed[method] = time.Until(d)
	}
	c.mu.Unlock()
	if down {
		return prterr.New(prterr.Unavailable, "cannot be reached")
	}
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

func (c *tap) cut(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// world is a device with a TPM, a tenant, and a dsreg that can be restarted.
type world struct {
	t   *testing.T
	dir string
	// computer is the name of the computer.
	computer string
	tpm      *fakeTPM
	idp      *fakeIdP
	toTPM    *tap
	toIdP    *tap
	clock    *clock.Lab
	log      lockedBuffer
	stop     func()
	conn     *grpc.ClientConn
	service  *dsreg.Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	idp, err := newIdP()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), tpm: newTPM(), idp: idp, clock: clock.NewLab()}
	w.toTPM = w.serve("tpm-agent", rpc.AllowList{
		tpmv1.DeviceKeyService_CreateDeviceKeys_FullMethodName:          {"dsreg"},
		tpmv1.DeviceKeyService_CreateCertificateRequest_FullMethodName:  {"dsreg"},
		tpmv1.DeviceKeyService_InstallDeviceCertificate_FullMethodName:  {"dsreg"},
		tpmv1.DeviceKeyService_SignDeviceRemoval_FullMethodName:         {"dsreg"},
		tpmv1.DeviceKeyService_DeleteDeviceKeys_FullMethodName:          {"dsreg"},
		tpmv1.DeviceKeyService_ListKeys_FullMethodName:                  {"dsreg"},
		tpmv1.DeviceKeyService_DescribeAttestationKeys_FullMethodName:   {"dsreg"},
		tpmv1.DeviceKeyService_CertifyDeviceKeys_FullMethodName:         {"dsreg"},
		tpmv1.DeviceKeyService_TestDeviceKeys_FullMethodName:            {"dsreg"},
		tpmv1.DeviceKeyService_SignKeyReplacement_FullMethodName:        {"dsreg"},
		tpmv1.DeviceKeyService_SignDeviceCheck_FullMethodName:           {"dsreg"},
		tpmv1.DeviceKeyService_CreateComputerCertificate_FullMethodName: {"dsreg"},
		tpmv1.DeviceKeyService_SignComputerIdentity_FullMethodName:      {"dsreg"},
		tpmv1.ProviderService_DescribeProvider_FullMethodName:           {"dsreg"},
	}, w.tpm.register)
	w.toIdP = w.serve("idp", rpc.AllowList{
		idpv1.RealmService_DiscoverRealm_FullMethodName:                            {"dsreg"},
		idpv1.NonceService_IssueNonce_FullMethodName:                               {"dsreg"},
		idpv1.DeviceRegistrationService_RequestRegistrationToken_FullMethodName:    {"dsreg"},
		idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName:              {"dsreg"},
		idpv1.DeviceRegistrationService_DeleteDevice_FullMethodName:                {"dsreg"},
		idpv1.DeviceRegistrationService_RequestAttestationChallenge_FullMethodName: {"dsreg"},
		idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName:            {"dsreg"},
		idpv1.DeviceRegistrationService_ReplaceDeviceKeys_FullMethodName:           {"dsreg"},
		idpv1.DeviceRegistrationService_CheckDevice_FullMethodName:                 {"dsreg"},
		idpv1.MetadataService_DescribeRegistrationServices_FullMethodName:          {"dsreg"},
	}, w.idp.register)
	w.restart(nil)
	t.Cleanup(func() {
		w.stop()
		if err := w.service.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) serve(name string, allow rpc.AllowList, register func(grpc.ServiceRegistrar)) *tap {
	w.t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "dsreg", Server: name, Allow: allow}, register)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(stop)
	return &tap{ClientConnInterface: conn, sent: map[string][]byte{}, allowed: map[string]time.Duration{}}
}

func (w *world) config(points durable.Points) dsreg.Config {
	return dsreg.Config{
		StateDir: w.dir, TPM: w.toTPM, IdP: w.toIdP, Clock: w.clock, Points: points, ComputerName: w.computer,
		Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// restart stops dsreg and starts it on the same state, with a door for operator.
func (w *world) restart(points durable.Points) {
	w.t.Helper()
	if w.stop != nil {
		w.stop()
		if err := w.service.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	var err error
	if w.service, err = dsreg.New(w.config(points)); err != nil {
		w.t.Fatal(err)
	}
	w.conn, w.stop = w.door("operator")
}

// door connects a caller to dsreg; the panics of crash points end there.
func (w *world) door(caller string) (*grpc.ClientConn, func()) {
	w.t.Helper()
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{
		Caller: caller, Server: "dsreg", Allow: dsreg.Allow(), TracerProvider: sdktrace.NewTracerProvider(),
	}, w.service.Register)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn, stop
}

func (w *world) join() (*dsregv1.JoinDeviceResponse, error) {
	return dsregv1.NewRegistrationServiceClient(w.conn).JoinDevice(w.t.Context(), &dsregv1.JoinDeviceRequest{
		UserPrincipalName: alice, Password: password, DisplayName: "DESKTOP-1",
	})
}

func (w *world) mustJoin() *dsregv1.JoinDeviceResponse {
	w.t.Helper()
	resp, err := w.join()
	if err != nil {
		w.t.Fatalf("join: %v", err)
	}
	return resp
}

// ages lets the time go by in which a tenant may not know a new device.
func (w *world) ages() { w.clock.Advance(5 * time.Minute) }

func (w *world) register() (*dsregv1.RegisterDeviceResponse, error) {
	return dsregv1.NewRegistrationServiceClient(w.conn).RegisterDevice(w.t.Context(), &dsregv1.RegisterDeviceRequest{
		UserPrincipalName: alice, Password: password, DisplayName: "ALICES-LAPTOP",
	})
}

func (w *world) mustRegister() *dsregv1.RegisterDeviceResponse {
	w.t.Helper()
	resp, err := w.register()
	if err != nil {
		w.t.Fatalf("register: %v", err)
	}
	return resp
}

func (w *world) leave(localOnly bool) error {
	_, err := dsregv1.NewRegistrationServiceClient(w.conn).LeaveDevice(w.t.Context(), &dsregv1.LeaveDeviceRequest{LocalOnly: localOnly})
	return err
}

func (w *world) state() (*dsregv1.GetDeviceStateResponse, error) {
	return dsregv1.NewDeviceStateServiceClient(w.conn).GetDeviceState(w.t.Context(), &dsregv1.GetDeviceStateRequest{})
}

func (w *world) mustState() *dsregv1.GetDeviceStateResponse {
	w.t.Helper()
	s, err := w.state()
	if err != nil {
		w.t.Fatalf("state: %v", err)
	}
	return s
}

// lockedBuffer is a log that the background writes too.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (w *world) logged() string {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	return w.log.String()
}

// until waits for the background.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waiting until %s: %s", what, w.logged())
		}
	}
}

// later lets the time go on until the background has done something.
func (w *world) later(what string, done func() bool) {
	w.t.Helper()
	w.until(what, func() bool { w.clock.Advance(time.Minute); return done() })
}

// file is the state file, nil when there is none.
func (w *world) file() []byte {
	data, _ := os.ReadFile(filepath.Join(w.dir, "device.json"))
	return data
}
