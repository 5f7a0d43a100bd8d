package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

const (
	// readyWithin bounds the start of one process.
	readyWithin = 15 * time.Second
	// stopWithin is how long a process may take to end before it is killed.
	stopWithin = 5 * time.Second
)

// processes runs every component as a process of its own and collects their
// spans over OTLP.
type processes struct {
	lab      *Lab
	receiver *ladder.Receiver
	otlp     string
	forward  *grpc.ClientConn
	order    []string
	cmds     map[string]*exec.Cmd
	specs    map[string]spec
	// program begins the command of a component by its name.
	program func(name string) []string
}

func newProcesses(ctx context.Context, l *Lab) (*processes, error) {
	if len(l.cfg.Self) == 0 {
		return nil, errors.New("a lab of processes needs to know this program's own path")
	}
	return processesOf(ctx, l, func(name string) []string { return append(slices.Clone(l.cfg.Self), name) })
}

// processesOf has the components be programs of somebody's choice.
func processesOf(ctx context.Context, l *Lab, program func(name string) []string) (*processes, error) {
	h := &processes{lab: l, cmds: map[string]*exec.Cmd{}, specs: map[string]spec{}, program: program}
	path := l.path("run", "otlp.sock")
	if err := os.MkdirAll(l.path("run"), 0o700); err != nil {
		return nil, fmt.Errorf("socket folder: %w", err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("trace receiver: %w", err)
	}
	var forward grpc.ClientConnInterface
	if l.cfg.OTLP != "" {
		h.forward, err = grpc.NewClient(l.cfg.OTLP, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("otlp receiver: %w", err), listener.Close())
		}
		forward = h.forward
	}
	h.receiver, h.otlp = ladder.NewReceiver(listener, l.recorder, forward), "unix:"+path
	return h, nil
}

func (h *processes) start(ctx context.Context, s spec, id *rpc.Identity) error {
	dir := s.state + "-identity"
	if err := id.Save(dir); err != nil {
		return err
	}
	level := h.lab.cfg.LogLevel
	if level == "" {
		level = "off"
	}
	args := append(h.program(s.name), "--listen", s.listen, "--identity", dir, "--state", s.state, "--otlp", h.otlp, "--log", level, "--lab", "--lab-ahead", h.lab.Ahead().String())
	for name, addr := range s.peers {
		args = append(args, "--peer", name+"="+addr)
	}
	if s.standsFor != "" {
		args = append(args, "--stand-in-for", s.standsFor)
	}
	for name, value := range s.settings {
		args = append(args, "--set", name+"="+value)
	}
	// Not bound to ctx: the process lives as long as the lab, which stops it.
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // this program itself, or one that a test names; it lives as long as the lab
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start process: %w", err)
	}
	h.cmds[s.key], h.specs[s.key] = cmd, s
	h.order = append(h.order, s.key)
	return h.ready(ctx, s)
}

// ready waits until the component answers a health check.
func (h *processes) ready(ctx context.Context, s spec) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	conn, err := h.lab.Dial(ctx, "operator", s.door)
	if err != nil {
		return err
	}
	if err := healthy(ctx, conn, func(error) {}); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	return nil
}

// move starts a component anew at another address, on what it keeps.
func (h *processes) move(ctx context.Context, key, addr string) error {
	if !h.runs(key) {
		return nil // it starts there the next time
	}
	if err := h.stop(key); err != nil {
		return err
	}
	s := h.specs[key]
	s.listen, s.door = addr, RealKey(key)
	id, err := h.lab.ca.Issue(s.name)
	if err != nil {
		return err
	}
	return h.start(ctx, s, id)
}

func (h *processes) runs(key string) bool { return h.cmds[key] != nil }

func (h *processes) stop(key string) error {
	cmd, ok := h.cmds[key]
	if !ok {
		return fmt.Errorf("component %s does not run", key)
	}
	delete(h.cmds, key)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", key, err)
	}
	kill := time.AfterFunc(stopWithin, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("stop %s: %w", key, err)
	}
	return nil
}

// killed waits until a component has ended by SIGKILL, which it gave itself.
func (h *processes) killed(ctx context.Context, key string) error {
	cmd, ok := h.cmds[key]
	if !ok {
		return fmt.Errorf("component %s does not run", key)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is looked at below
		close(ended)
	}()
	select {
	case <-ctx.Done():
		kill := cmd.Process.Kill()
		<-ended
		delete(h.cmds, key)
		return errors.Join(fmt.Errorf("component %s did not kill itself: %w", key, ctx.Err()), kill)
	case <-ended:
	}
	delete(h.cmds, key)
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("component %s ended otherwise: %v", key, cmd.ProcessState)
	}
	return nil
}

func (h *processes) close() error {
	var errs []error
	for i := len(h.order) - 1; i >= 0; i-- {
		if _, ok := h.cmds[h.order[i]]; ok {
			errs = append(errs, h.stop(h.order[i]))
		}
	}
	h.receiver.Close()
	if h.forward != nil {
		errs = append(errs, h.forward.Close())
	}
	return errors.Join(errs...)
}

func (h *processes) nativeHost(d *Device) actor.NativeHost { return spawnedHost{h, d} }

// spawnedHost starts the native host as a process for one message, as a browser
// does. The logon session goes over an inherited pipe: neither arguments nor
// environment may hold a secret.
type spawnedHost struct {
	host   *processes
	device *Device
}

// GetCookies asks for cookies for a sign-in URL.
func (s spawnedHost) GetCookies(ctx context.Context, d actor.Desktop, uri, sender string) (_ []actor.SSOCookie, err error) {
	id, err := s.host.lab.ca.Issue("browsercore")
	if err != nil {
		return nil, err
	}
	dir := s.host.lab.path(s.device.Name, "browsercore-identity")
	if err := id.Save(dir); err != nil {
		return nil, err
	}
	session, sessionIn, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("session pipe: %w", err)
	}
	args := append([]string{}, s.host.lab.cfg.Self[1:]...)
	args = append(args, "browsercore", "--identity", dir, "--authority", s.host.lab.addr(s.device.Key("lsa-cloudap")), "--session-fd", "3", "--otlp", s.host.otlp)
	cmd := exec.CommandContext(ctx, s.host.lab.cfg.Self[0], args...) //nolint:gosec // this program itself
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{session}
	cmd.Env = append(os.Environ(), traceEnv(ctx)...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start(), session.Close()); err != nil {
		return nil, fmt.Errorf("native host: %w", err)
	}
	if _, err := sessionIn.WriteString(d.Session.Reveal()); err != nil {
		return nil, fmt.Errorf("session pipe: %w", err)
	}
	if err := sessionIn.Close(); err != nil {
		return nil, fmt.Errorf("session pipe: %w", err)
	}
	cookies, err := askHost(in, out, uri, sender)
	return cookies, errors.Join(err, in.Close(), cmd.Wait())
}

// traceEnv hands the trace over in TRACEPARENT and BAGGAGE, as OpenTelemetry
// does with child processes.
func traceEnv(ctx context.Context) []string {
	carrier := propagation.MapCarrier{}
	rpc.Propagators().Inject(ctx, carrier)
	var env []string
	for k, v := range carrier {
		env = append(env, strings.ToUpper(k)+"="+v)
	}
	return env
}
