package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	browserv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/browser/v1"
	"github.com/lockstep-sso/lockstep/tools/ladder"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// errElsewhere is the error of what only a lab can do that started its components.
var errElsewhere = errors.New("the components of a deployment run elsewhere: this lab cannot start, stop or replace them")

// elsewhere is the host of a deployment: the components are there already.
type elsewhere struct{ lab *Lab }

func (elsewhere) start(context.Context, spec, *rpc.Identity) error { return errElsewhere }

func (elsewhere) stop(string) error { return errElsewhere }

func (elsewhere) move(context.Context, string, string) error {
	return errElsewhere
}

// runs says that a component is part of the deployment.
func (e elsewhere) runs(key string) bool { return e.lab.cfg.Deployment.addr(key) != "" }

func (e elsewhere) nativeHost(d *Device) actor.NativeHost { return distantHost{d} }

func (elsewhere) close() error { return nil }

// reach prepares a lab whose components are elsewhere.
func (l *Lab) reach() error {
	d := l.cfg.Deployment
	switch {
	case l.cfg.Processes, l.cfg.Sockets, l.cfg.HTTPS, l.cfg.Dir != "":
		return errors.New("a deployment has its components, addresses and state elsewhere: leave out what is about those of a lab")
	case l.cfg.Replicas > 0:
		return errors.New("a deployment has its replicas elsewhere: list them in its file")
	case l.cfg.MetricReader != nil:
		return errors.New("a deployment sends its metrics by itself: leave out MetricReader")
	}
	if l.cfg.OTLP == "" {
		l.cfg.OTLP = d.OTLP
	}
	l.network, l.host = newCuttable(rpc.OS{}), elsewhere{l}
	if d.Jaeger == "" {
		return nil
	}
	j, err := ladder.NewJaeger(d.Jaeger)
	if err != nil {
		return fmt.Errorf("jaeger: %w", err)
	}
	l.conns, l.traces = append(l.conns, j), j
	return nil
}

// Elsewhere says that the components are those of a deployment.
func (l *Lab) Elsewhere() bool { return l.cfg.Deployment != nil }

// AwaitReady waits until every component of the lab answers. met is told once for each
// that does not answer at once. When ctx ends first, the error has all those that did not
// answer, where they should be, and what was last met there.
func (l *Lab) AwaitReady(ctx context.Context, met func(error)) error {
	if !l.Elsewhere() {
		return nil // its start has waited
	}
	keys := append([]string{"idp"}, l.ReplicaKeys()...)
	if l.addr("adfs") != "" {
		keys = append(keys, "adfs")
	}
	for _, d := range l.cfg.Deployment.Devices {
		for _, c := range onDevice() {
			keys = append(keys, d.Name+"/"+c)
		}
	}
	var (
		wg   sync.WaitGroup
		one  sync.Mutex
		errs = make([]error, len(keys))
	)
	for i, key := range keys {
		silent := func(err error) error { return fmt.Errorf("%s does not answer at %s: %w", key, l.addr(key), err) }
		wg.Go(func() {
			conn, err := l.Dial(ctx, "operator", key)
			if err == nil {
				err = healthy(ctx, conn, func(err error) {
					one.Lock()
					defer one.Unlock()
					met(silent(err))
				})
			}
			if err != nil {
				errs[i] = silent(err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return l.together(ctx)
}

// identity is what an actor shows to the components.
func (l *Lab) identity(name string) (*rpc.Identity, error) {
	if l.cfg.Deployment == nil {
		return l.ca.Issue(name)
	}
	id, err := rpc.LoadIdentity(l.cfg.Deployment.folder(name))
	if err != nil {
		return nil, err
	}
	if id.Name != name {
		return nil, fmt.Errorf("identity in %s: it is that of %s, not of %s", l.cfg.Deployment.folder(name), id.Name, name)
	}
	return id, nil
}

// deployed is the next device of a deployment.
func (l *Lab) deployed(ctx context.Context) (*Device, error) {
	all := l.cfg.Deployment.Devices
	if len(l.devices) == len(all) {
		return nil, fmt.Errorf("the deployment has %d devices and no more", len(all))
	}
	d := &Device{Name: all[len(l.devices)].Name, lab: l, set: map[string]map[string]string{}}
	l.devices = append(l.devices, d)
	return d, d.actors(ctx)
}

// distantHost asks the native host of another machine.
type distantHost struct{ device *Device }

// GetCookies asks for cookies for a sign-in URL.
func (h distantHost) GetCookies(ctx context.Context, d actor.Desktop, uri, sender string) ([]actor.SSOCookie, error) {
	var conn grpc.ClientConnInterface
	conn, err := h.device.lab.Dial(ctx, "browser", h.device.Key("browsercore"))
	if err != nil {
		return nil, err
	}
	msg, err := json.Marshal(map[string]string{"method": "GetCookies", "uri": uri, "sender": sender})
	if err != nil {
		return nil, fmt.Errorf("native message: %w", err)
	}
	r, err := browserv1.NewNativeHostServiceClient(conn).ExchangeMessage(ctx, &browserv1.ExchangeMessageRequest{Message: msg, LogonSession: d.Session.Reveal()})
	if err != nil {
		return nil, err
	}
	return cookiesOf(r.GetMessage())
}

// cookiesOf reads the answer of a native host.
func cookiesOf(body []byte) ([]actor.SSOCookie, error) {
	var answer struct {
		Response []struct{ Name, Data string }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("native answer: %w", err)
	}
	var cookies []actor.SSOCookie
	for _, c := range answer.Response {
		cookies = append(cookies, actor.SSOCookie{Name: c.Name, Value: secret.NewText(c.Data)})
	}
	return cookies, nil
}

const (
	// tryWithin bounds one health check, so that one that is swallowed is made again.
	tryWithin = 5 * time.Second
	// firstPause is between the first two checks; pauses double up to longestPause.
	firstPause, longestPause = 20 * time.Millisecond, 250 * time.Millisecond
)

// healthy waits until a component answers a health check, and tells met of the first that
// fails. The error is what was met last before ctx ended, which says more than that it did.
func healthy(ctx context.Context, conn grpc.ClientConnInterface, met func(error)) error {
	var last error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := checkOnce(ctx, conn)
		if err == nil {
			return nil
		}
		if last == nil {
			met(err)
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pause):
		}
	}
}

func checkOnce(ctx context.Context, conn grpc.ClientConnInterface) error {
	ctx, cancel := context.WithTimeout(ctx, tryWithin)
	defer cancel()
	_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}
