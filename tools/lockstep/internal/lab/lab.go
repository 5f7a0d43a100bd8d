// Package lab is a whole Lockstep: the cloud and its devices, each component
// behind its own server with its own identity, in this process or in one process
// each. The demo and the flow scripts run on it.
//
// It is a laboratory, not a deployment: in one process there is one address
// space, so no memory wall stands round the tpm-agent's keys. The walls between
// components (mutual TLS, allow-lists, contracts) are the real ones.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
	labv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
)

// Config says what lab to make. The zero value is one in this process, with
// throw-away state and the embedded tenants.
type Config struct {
	// Dir keeps all state; empty is a temporary folder that goes with the lab.
	Dir string
	// Processes starts one operating-system process a component: this program
	// again, with the arguments Self and the component's flags.
	Processes bool
	Self      []string
	// Sockets has the components of this process listen on unix sockets below Dir, so
	// that other programs of the user reach them.
	Sockets bool
	// KeepCloud has the identity provider keep its keys and records below Dir for the
	// next lab there.
	KeepCloud bool
	// Replicas is how many identity providers there are, of one address, on one database;
	// 0 and 1 are one. Database is the path of the file with the DSN of that PostgreSQL
	// database, which the lab leaves as it is. In one process only.
	Replicas int
	Database string
	// OtherVersion is the idp program of another version, of which replicas may be.
	OtherVersion string
	// AtReplica says where replicas die; nil is nowhere.
	AtReplica AtReplica
	// KeepTraces is how many traces stay in memory, the newest; 0 keeps all.
	KeepTraces int
	// MetricReader gives what collects the metrics of a component, by its key, as idp or
	// device-1/lsa-cloudap; nil collects none. In one process only.
	MetricReader func(key string) (sdkmetric.Reader, error)
	// OTLP also exports all traces, and in one process the metrics, to this receiver.
	OTLP string
	// HTTPS has the devices speak Entra's HTTPS protocol with the cloud, and WS-Trust
	// with the federation provider, in place of gRPC.
	HTTPS bool
	// TPM is the TPM address of the devices; empty is a soft TPM in a file.
	TPM string
	// SoftwareKeys is the policy of the devices for keys in software; empty is refuse
	// when there is a TPM address, else what the tpm-agent does by itself.
	SoftwareKeys string
	// Tenants is a tenant file; empty is the embedded one.
	Tenants string
	// SmartCards is the PEM file of the authorities of the federation provider's smart
	// cards; empty has none. CardsAreTwoFactors has the provider claim so.
	SmartCards         string
	CardsAreTwoFactors bool
	// TPMMakers are further makers of TPMs whom every tenant trusts, as the idp's
	// setting tpm-makers has them: KIND=PATH with commas between. The maker of the
	// emulated TPMs of this lab is always among them.
	TPMMakers string
	// NativeSessionKeys has session keys wrapped for the TPMs of the devices, which
	// derive from them inside, in place of Entra's form.
	NativeSessionKeys bool
	// LogLevel of the components; empty is off. Log takes the lines, nil is
	// standard error; a lab of processes always uses standard error.
	LogLevel string
	Log      io.Writer
	// Ahead is how far the clocks of the lab are ahead of the machine's at its start: a
	// lab that starts again on its folder goes on where it was.
	Ahead time.Duration
	// DeviceSettings are further settings for the components of every device and of the
	// cloud, by component and name; they win over what the lab sets by itself.
	DeviceSettings map[string]map[string]string
	// Domain gives the devices a way to the domain of the federated organisation, as
	// the peer "domain": the federation provider, over gRPC whatever HTTPS says.
	Domain bool
	// WithoutBroker has devices without wam-broker, as some editions of Windows are.
	WithoutBroker bool
	// ServedNativeHost has the native host of each device's browser as a component of its
	// own, browsercore, as in a deployment whose browser is in another pod; in one process
	// only.
	ServedNativeHost bool
	// Points are crash points for the components of devices, by component name;
	// in one process only.
	Points map[string]durable.Points
	// StandIns says by its key which component has a stand-in before it from the start,
	// without rules; nil is none. Others get one by SwapIn.
	StandIns func(key string) bool
	// Faults are rules that are in force from the start, by the name of the component
	// whose calls they break; it has a stand-in before it.
	Faults map[string]string
	// FaultSeed is the seed of every stand-in; 0 has each choose one.
	FaultSeed uint64
	// StandInSettings are further settings of stand-ins, by the component in whose place
	// they are; they win over what the lab sets by itself.
	StandInSettings map[string]map[string]string
	// Deployment has the components elsewhere, as in a cluster: this lab starts none and
	// reaches them as the actors do. What is about components of its own is then left out.
	Deployment *Deployment
}

// Lab is a running lab.
type Lab struct {
	cfg      Config
	temp     string
	ca       *rpc.CA
	network  *cuttable
	recorder *ladder.Recorder
	traces   ladder.Source
	host     host
	mu       sync.Mutex
	tracers  map[string]*sdktrace.TracerProvider
	meters   map[string]*sdkmetric.MeterProvider
	conns    []io.Closer
	ways     map[way]grpc.ClientConnInterface
	devices  []*Device
	ahead    time.Duration
	// swapped are the keys of the components that a stand-in is before.
	swapped map[string]bool
	hands   hands
	// service is the address that replicas share, nil where there are none; dying are
	// those that were killed and have not ended yet.
	service *service
	dying   sync.WaitGroup
	// others are replicas that are programs of another version, nil while there were none.
	others *processes
}

// maxSpans is how many spans of a trace a lab keeps that does not keep all traces. The
// longest flow has some 60.
const maxSpans = 500

// way is a connection of one caller to one component.
type way struct{ caller, key string }

// stsName is the host of the embedded tenants' federation provider.
const stsName = "sts.adatum.test"

// cloud are the components that all devices share, with the settings each gets.
func (l *Lab) cloud() []spec {
	adfs := map[string]string{"signing-certificate": l.path("adfs", "signing.pem")}
	if l.cfg.SmartCards != "" {
		adfs["client-ca"] = l.cfg.SmartCards
	}
	if l.cfg.CardsAreTwoFactors {
		adfs["multiple-authn"] = "on"
	}
	idp := map[string]string{
		"federation-certificate": "adatum.test=" + l.path("adfs", "signing.pem"), "tpm-makers": "emulated=" + l.path(makerFolder, makerRoot),
	}
	if l.cfg.Tenants != "" {
		idp["tenants"] = l.cfg.Tenants
	}
	if l.cfg.KeepCloud {
		idp["state"] = "keep"
	}
	if l.cfg.TPMMakers != "" {
		idp["tpm-makers"] += "," + l.cfg.TPMMakers
	}
	// Pages are HTTPS whatever carries the devices' requests: windows and browsers
	// open them.
	adfs["https"], adfs["https-ca"], adfs["https-name"] = l.addr("adfs-https"), l.path("adfs", "ca.pem"), stsName
	idp["https"], idp["https-ca"] = l.addr("idp-https"), l.path("idp", "ca.pem")
	maps.Copy(adfs, l.cfg.DeviceSettings["adfs"])
	maps.Copy(idp, l.cfg.DeviceSettings["idp"])
	return append([]spec{{key: "adfs", name: "adfs", settings: adfs}}, l.replicated(spec{key: "idp", name: "idp", settings: idp})...)
}

// overHTTPS are the settings of a device's component that reaches the cloud over
// HTTPS: whom to trust, and the one address behind all host names.
func (l *Lab) overHTTPS() map[string]string {
	if !l.cfg.HTTPS {
		return nil
	}
	return map[string]string{
		"idp-roots": l.path("idp", "ca.pem"), "idp-via": l.addr("idp-https"),
		"adfs-roots": l.path("adfs", "ca.pem"), "adfs-via": l.addr("adfs-https"),
	}
}

// inCloud are the addresses that a device without network does not reach.
func (l *Lab) inCloud() map[string]bool {
	return map[string]bool{l.addr("idp"): true, l.addr("adfs"): true, l.addr("idp-https"): true, l.addr("adfs-https"): true}
}

// Start makes a lab with its cloud running and no device yet.
func Start(ctx context.Context, cfg Config) (_ *Lab, err error) {
	recorder := ladder.NewRecorder()
	if cfg.KeepTraces > 0 {
		recorder = ladder.NewBoundedRecorder(cfg.KeepTraces, maxSpans)
	}
	l := &Lab{cfg: cfg, ahead: cfg.Ahead, recorder: recorder, traces: recorder, swapped: map[string]bool{}, tracers: map[string]*sdktrace.TracerProvider{}, meters: map[string]*sdkmetric.MeterProvider{}, ways: map[way]grpc.ClientConnInterface{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err = cfg.checkReplicas(); err != nil {
		return nil, err
	}
	if cfg.Deployment != nil {
		return l, l.reach()
	}
	if cfg.Dir == "" {
		if l.temp, err = os.MkdirTemp("", "lockstep-"); err != nil {
			return nil, fmt.Errorf("lab folder: %w", err)
		}
		l.cfg.Dir = l.temp
	}
	if l.ca, err = rpc.NewCA(); err != nil {
		return nil, err
	}
	if cfg.Processes && cfg.ServedNativeHost {
		return nil, errors.New("a lab of processes starts the native host as browsers do: leave out ServedNativeHost")
	}
	if err = l.maker(); err != nil {
		return nil, err
	}
	if err = l.place(ctx); err != nil {
		return nil, err
	}
	for _, s := range l.cloud() {
		if err = l.start(ctx, s, nil); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// makerFolder is where the maker of the lab's emulated TPMs has its key, and makerRoot
// the certificate there that the identity provider trusts.
const (
	makerFolder = "tpm-maker"
	makerRoot   = "root.pem"
)

// maker makes the maker of the lab's TPMs.
func (l *Lab) maker() error {
	ca, err := tpmca.Open(l.path(makerFolder))
	if err != nil {
		return err
	}
	return durable.WriteFile(l.path(makerFolder, makerRoot), ca.RootPEM(), nil)
}

// place chooses where the components live.
func (l *Lab) place(ctx context.Context) error {
	if !l.cfg.Processes {
		l.network = newCuttable(rpc.NewMem())
		if l.cfg.Sockets {
			l.network = newCuttable(rpc.OS{})
		}
		if l.cfg.Replicas > 1 {
			s := newService(rpc.NewMem())
			l.share(s)
			l.network = newCuttable(s)
		}
		l.host = &inProcess{lab: l, running: map[string]*run.Running{}}
		return nil
	}
	l.network = newCuttable(rpc.OS{})
	h, err := newProcesses(ctx, l)
	if err != nil {
		return err
	}
	l.host = h
	return nil
}

// addr is where a component listens.
func (l *Lab) addr(key string) string {
	if l.cfg.Deployment != nil {
		return l.cfg.Deployment.addr(key)
	}
	if l.cfg.Processes || l.cfg.Sockets {
		return "unix:" + l.path("run", strings.ReplaceAll(key, "/", "-")+".sock")
	}
	return "mem:" + key
}

// Addr is where a component listens, by its key: "idp", or "device-1/lsa-cloudap".
func (l *Lab) Addr(key string) string { return l.addr(key) }

// Issue makes an identity that the components of the lab take for NAME's.
// In a deployment it is the actor's own.
func (l *Lab) Issue(name string) (*rpc.Identity, error) { return l.identity(name) }

func (l *Lab) path(parts ...string) string {
	return filepath.Join(append([]string{l.cfg.Dir}, parts...)...)
}

// start runs one component; peers are the keys of those it may need.
func (l *Lab) start(ctx context.Context, s spec, peers map[string]string) error {
	if err := l.fromTheStart(ctx, s); err != nil {
		return err
	}
	s.door, s.state, s.peers = s.key, l.path(filepath.FromSlash(s.key)), map[string]string{}
	if l.Swapped(s.key) {
		s.door = RealKey(s.key)
		l.behindHTTPS(s)
	}
	s.listen = l.addr(s.door)
	for name, key := range peers {
		if s.peers[name] = key; !strings.HasPrefix(key, "https://") {
			s.peers[name] = l.addr(key)
		}
	}
	id, err := l.ca.Issue(s.name)
	if err != nil {
		return err
	}
	if err := l.host.start(ctx, s, id); err != nil {
		return fmt.Errorf("start %s: %w", s.key, err)
	}
	return l.handsAgain(ctx, s.key)
}

// tracer is the tracer provider of a component or actor of this process.
func (l *Lab) tracer(ctx context.Context, service string) (*sdktrace.TracerProvider, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tp := l.tracers[service]; tp != nil {
		return tp, nil
	}
	tp, err := obs.Tracing(ctx, obs.TraceConfig{Service: service, OTLP: l.cfg.OTLP, Processors: []sdktrace.SpanProcessor{l.recorder}})
	if err != nil {
		return nil, err
	}
	l.tracers[service] = tp
	return tp, nil
}

// Dial connects as one component or actor to another, by the key of the latter:
// "idp", or "device-1/lsa-cloudap". There is one connection for each pair, so that a
// lab may run for long.
func (l *Lab) Dial(ctx context.Context, caller, key string) (grpc.ClientConnInterface, error) {
	tp, err := l.tracer(ctx, caller)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn := l.ways[way{caller, key}]; conn != nil {
		return conn, nil
	}
	if l.addr(key) == "" {
		return nil, fmt.Errorf("the deployment has no %s", key)
	}
	id, err := l.identity(caller)
	if err != nil {
		return nil, err
	}
	conn, err := rpc.Dial(rpc.DialConfig{
		Network: l.network.plain(), Addr: l.addr(key), Identity: id, Server: nameAt(key), TracerProvider: tp,
		KeepWhere: caller == "logonui", // the screen of the sign-in shows what lsa-cloudap met, and where
	})
	if err != nil {
		return nil, err
	}
	l.conns = append(l.conns, conn)
	l.ways[way{caller, key}] = conn
	return conn, nil
}

// Recorder holds the spans of everything that ran.
func (l *Lab) Recorder() *ladder.Recorder { return l.recorder }

// Traces are where a whole trace of the lab is read: the recorder, or the Jaeger of a
// deployment.
func (l *Lab) Traces() ladder.Source { return l.traces }

// Ahead is how far the clocks of the lab are ahead of the machine's.
func (l *Lab) Ahead() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hands.stopped.IsZero() {
		return time.Until(l.hands.stopped)
	}
	return l.ahead
}

// Advance moves the clocks of the whole lab, the cloud's first, so that nothing
// a device shows is from the future. A component that is stopped has the lab's time
// when it starts again.
func (l *Lab) Advance(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("the clock of a lab goes forward only, not by %v", d)
	}
	l.mu.Lock()
	l.ahead += d
	if !l.hands.stopped.IsZero() {
		l.hands.stopped = l.hands.stopped.Add(d)
	}
	l.mu.Unlock()
	return l.eachClock(ctx, func(key string, c labv1.ClockServiceClient) error {
		_, err := c.AdvanceClock(ctx, &labv1.AdvanceClockRequest{By: durationpb.New(d)})
		return err
	})
}

// Close stops everything and removes a temporary folder.
func (l *Lab) Close() error {
	var errs []error
	for _, c := range l.conns {
		errs = append(errs, c.Close())
	}
	if l.host != nil {
		errs = append(errs, l.host.close())
	}
	if l.others != nil {
		errs = append(errs, l.others.close())
	}
	l.dying.Wait()
	shut := func(shutdown func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		errs = append(errs, shutdown(ctx))
	}
	for _, tp := range l.tracers {
		shut(tp.Shutdown)
	}
	for _, mp := range l.meters {
		shut(mp.Shutdown)
	}
	if l.temp != "" {
		errs = append(errs, os.RemoveAll(l.temp))
	}
	return errors.Join(errs...)
}
