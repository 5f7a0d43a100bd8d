package browsercore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/propagation"

	"github.com/lockstep-sso/lockstep/pkg/obs"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// authorityName is the component that is asked for cookies.
const authorityName = "lsa-cloudap"

// Program is the whole program: what a browser starts, or, with Listen, the server for
// browsers that are elsewhere.
type Program struct {
	// Listen is the address to serve at; empty answers on In and Out.
	Listen string
	// Authority is the address of the authority of the PRT.
	Authority string
	// Identity is a folder with cert.pem, key.pem and ca.pem.
	Identity string
	// SessionFD is the inherited file descriptor that has the logon session, when nothing
	// is served.
	SessionFD uint
	// OTLP, Health and LogLevel are as for every component.
	OTLP, Health, LogLevel string
	// Lab, with Listen, is a laboratory: the word of a stand-in in this one's place is taken.
	Lab bool
	// In and Out are the browser's.
	In  io.Reader
	Out io.Writer
	// Traceparent and Baggage are what the browser's process handed over in the environment
	// variables of these names, as OpenTelemetry does with child processes.
	Traceparent, Baggage string
}

// Bind adds the flags to a flag set.
func (p *Program) Bind(fs *pflag.FlagSet) {
	fs.StringVar(&p.Listen, "listen", "", "serve browsers that are elsewhere, at unix:PATH or tcp:HOST:PORT, in place of standard input and output")
	fs.StringVar(&p.Identity, "identity", "", "folder with cert.pem, key.pem and ca.pem")
	fs.StringVar(&p.Authority, "authority", "", "address of the PRT authority: unix:PATH or tcp:HOST:PORT")
	fs.UintVar(&p.SessionFD, "session-fd", 3, "inherited file descriptor to read the logon session from; not with --listen")
	fs.StringVar(&p.OTLP, "otlp", "", "export traces to this OTLP/gRPC receiver")
	fs.StringVar(&p.Health, "health", "", "with --listen: answer plaintext gRPC health checks, and nothing else, at this address: tcp:HOST:PORT")
	fs.BoolVar(&p.Lab, "lab", false, "with --listen: laboratory: a stand-in may hand calls on")
	fs.StringVar(&p.LogLevel, "log", "info", "with --listen: log level: debug, info, warn, error or off")
}

// Run is the program until the browser closes the pipe, or until ctx ends.
func (p *Program) Run(ctx context.Context) error {
	if p.Listen == "" {
		return p.answer(ctx)
	}
	if p.Authority == "" {
		return errors.New("--authority is needed: the address of lsa-cloudap")
	}
	return run.Process(ctx, "browsercore", run.Flags{
		Listen: p.Listen, Identity: p.Identity, Peers: map[string]string{authorityName: p.Authority}, OTLP: p.OTLP, Health: p.Health, LogLevel: p.LogLevel,
		Stateless: true, Lab: p.Lab,
	}, Wire)
}

// answer answers the messages of the browser that started this process.
func (p *Program) answer(ctx context.Context) (err error) {
	session, err := ReadSession(p.SessionFD)
	if err != nil {
		return err
	}
	id, err := rpc.LoadIdentity(p.Identity)
	if err != nil {
		return err
	}
	tp, err := obs.Tracing(ctx, obs.TraceConfig{Service: "browsercore", OTLP: p.OTLP})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tp.Shutdown(context.WithoutCancel(ctx))) }()
	conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: p.Authority, Identity: id, Server: authorityName, TracerProvider: tp})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	host, err := New(Config{Authority: conn, LogonSession: session})
	if err != nil {
		return err
	}
	ctx = rpc.Propagators().Extract(ctx, propagation.MapCarrier{"traceparent": p.Traceparent, "baggage": p.Baggage})
	return host.Serve(ctx, p.In, p.Out)
}

// ReadSession takes the logon session from an inherited pipe: it is a secret, and
// neither arguments nor environment keep one.
func ReadSession(fd uint) (secret.Text, error) {
	f := os.NewFile(uintptr(fd), "session")
	if f == nil {
		return secret.Text{}, fmt.Errorf("file descriptor %d is not open", fd)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSession))
	if err != nil {
		return secret.Text{}, fmt.Errorf("logon session: %w", err)
	}
	return secret.NewText(string(b)), nil
}
