package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/run"
)

// AtReplica is asked at each call of a replica of the identity provider, by its key and
// the full name of the method, whether the replica dies there: before it does anything,
// or when it has done all but answer.
type AtReplica func(key, method string, done bool) bool

// ReplicaKeys are the replicas of the identity provider, idp-0 and so on; nil where there
// is one, which has the key idp.
func (l *Lab) ReplicaKeys() []string {
	n := l.cfg.Replicas
	if l.cfg.Deployment != nil {
		n = len(l.cfg.Deployment.Replicas["idp"])
	}
	if n < 2 {
		return nil
	}
	var keys []string
	for i := range n {
		keys = append(keys, "idp-"+strconv.Itoa(i))
	}
	return keys
}

// idpKeys are the identity providers of the lab, each of which has a clock of its own.
func (l *Lab) idpKeys() []string {
	if keys := l.ReplicaKeys(); keys != nil {
		return keys
	}
	return []string{"idp"}
}

// checkReplicas says what does not go together with replicas.
func (c Config) checkReplicas() error {
	_, faulted := c.Faults["idp"]
	switch {
	case c.Replicas < 2 && c.Database == "" && c.AtReplica == nil:
		return nil
	case c.Replicas < 2 || c.Database == "":
		return errors.New("several identity providers need Replicas, two at least, and Database, the file with the DSN of what they share")
	case c.Processes, c.Sockets:
		return errors.New("replicas share an address in one process only: leave out Processes and Sockets")
	case c.StandIns != nil, faulted:
		return errors.New("a stand-in takes the place of one component: leave out Replicas, or the stand-in of idp")
	case c.KeepCloud:
		return errors.New("replicas keep everything in their database: leave out KeepCloud")
	}
	return nil
}

// replicated are the specs of the replicas, each with the settings that one identity
// provider would have.
func (l *Lab) replicated(one spec) []spec {
	keys := l.ReplicaKeys()
	if keys == nil {
		return []spec{one}
	}
	var all []spec
	for _, key := range keys {
		s := spec{key: key, name: one.name, settings: maps.Clone(one.settings)}
		s.settings["state"], s.settings["database"] = "postgres", l.cfg.Database
		s.settings["https"] = l.addr(key + httpsSuffix)
		all = append(all, s)
	}
	return all
}

// share gives the replicas the addresses that one identity provider would have.
func (l *Lab) share(s *service) {
	for _, suffix := range []string{"", httpsSuffix} {
		var servers []string
		for _, key := range l.ReplicaKeys() {
			servers = append(servers, l.addr(key+suffix))
		}
		s.share(l.addr("idp"+suffix), servers...)
	}
	l.service = s
}

// KillReplica ends a replica of the identity provider as SIGKILL does: connections break,
// and calls under way are not answered. What it was about to write may be written or not.
func (l *Lab) KillReplica(key string) error {
	if err := l.isReplica(key); err != nil {
		return err
	}
	h, ok := l.host.(*inProcess)
	if !ok {
		return errElsewhere
	}
	r := h.take(key)
	if r == nil {
		return prterr.New(prterr.Conflict, "%s does not run", key)
	}
	l.service.kill(l.addr(key))
	l.service.kill(l.addr(key + httpsSuffix))
	l.dying.Go(func() { _ = r.Stop() }) // nobody is told how a killed process ended
	return nil
}

// AwaitHangUp waits until every caller has noticed which replicas are dead: nobody holds a
// connection to one any more.
func (l *Lab) AwaitHangUp(ctx context.Context) error {
	for l.service != nil && l.service.unnoticed() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// StartReplica starts a replica that was killed, which has the lab's time.
func (l *Lab) StartReplica(ctx context.Context, key string) error {
	if err := l.isReplica(key); err != nil {
		return err
	}
	if l.Elsewhere() {
		return errElsewhere
	}
	if l.runs(key) {
		return prterr.New(prterr.Conflict, "%s runs already", key)
	}
	l.dying.Wait()
	s, err := l.replicaSpec(key)
	if err != nil {
		return err
	}
	l.service.revive(l.addr(key))
	l.service.revive(l.addr(key + httpsSuffix))
	return l.start(ctx, s, nil)
}

// replicaSpec is what a replica is started with.
func (l *Lab) replicaSpec(key string) (spec, error) {
	for _, s := range l.cloud() {
		if s.key == key {
			return s, nil
		}
	}
	return spec{}, fmt.Errorf("%s has no settings", key)
}

// ReplicaRuns says whether a replica runs.
func (l *Lab) ReplicaRuns(key string) bool { return l.isReplica(key) == nil && l.runs(key) }

func (l *Lab) isReplica(key string) error {
	keys := l.ReplicaKeys()
	switch {
	case keys == nil:
		return prterr.New(prterr.Conflict, "the lab has one identity provider, and no replicas of it")
	case !slices.Contains(keys, key):
		return prterr.New(prterr.Invalid, "there is no replica %.80q: use one of %s", key, strings.Join(keys, ", "))
	}
	return nil
}

// mortal is a component that dies where its lab says so.
func (l *Lab) mortal(key string, wire run.Wire) run.Wire {
	if l.cfg.AtReplica == nil || !slices.Contains(l.ReplicaKeys(), key) {
		return wire
	}
	return func(env *run.Env) (*run.Component, error) {
		c, err := wire(env)
		if err == nil {
			c.Service = mortalService{c.Service, l, key}
		}
		return c, err
	}
}

type mortalService struct {
	run.Service
	lab *Lab
	key string
}

// Register implements run.Service.
func (m mortalService) Register(r grpc.ServiceRegistrar) { m.Service.Register(mortalRegistrar{r, m}) }

type mortalRegistrar struct {
	grpc.ServiceRegistrar
	m mortalService
}

// RegisterService implements grpc.ServiceRegistrar.
func (r mortalRegistrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	own := *desc
	own.Methods = slices.Clone(desc.Methods)
	for i, d := range own.Methods {
		name := "/" + desc.ServiceName + "/" + d.MethodName
		own.Methods[i].Handler = func(srv any, ctx context.Context, dec func(any) error, outer grpc.UnaryServerInterceptor) (any, error) {
			r.m.dies(ctx, name, false)
			answer, err := d.Handler(srv, ctx, dec, outer)
			r.m.dies(ctx, name, true)
			return answer, err
		}
	}
	r.ServiceRegistrar.RegisterService(&own, impl)
}

// dies kills the replica if the lab says so, and then comes back when the caller is gone.
func (m mortalService) dies(ctx context.Context, method string, done bool) {
	if m.lab.cfg.AtReplica(m.key, method, done) && m.lab.KillReplica(m.key) == nil {
		<-ctx.Done()
	}
}
