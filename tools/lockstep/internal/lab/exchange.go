package lab

import (
	"context"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// runs says whether a component runs, in whatever form.
func (l *Lab) runs(key string) bool {
	return l.host.runs(key) || l.others != nil && l.others.runs(key)
}

// ExchangeReplica ends a replica of the identity provider in good order and starts one in
// its place: of the other version that the lab's Config names, or of this one. No new
// connection goes to it from then on, the calls under way are answered, and it is back when
// it answers. So a Deployment exchanges a pod, in an upgrade and on the way back.
func (l *Lab) ExchangeReplica(ctx context.Context, key string, other bool) error {
	if err := l.isReplica(key); err != nil {
		return err
	}
	switch {
	case l.service == nil:
		return errElsewhere
	case other && l.cfg.OtherVersion == "":
		return prterr.New(prterr.Conflict, "this lab knows no other version: name its idp program in OtherVersion")
	}
	s, err := l.replicaSpec(key)
	if err != nil {
		return err
	}
	if err := l.endReplica(key); err != nil {
		return err
	}
	if other {
		return l.startOther(ctx, s)
	}
	l.put(key, nil)
	return l.start(ctx, s, nil)
}

// endReplica ends a replica that runs; one that was killed is ended already.
func (l *Lab) endReplica(key string) error {
	l.dying.Wait()
	for _, suffix := range []string{"", httpsSuffix} {
		l.service.retire(l.addr(key + suffix))
	}
	switch {
	case l.host.runs(key):
		return l.host.stop(key)
	case l.others != nil && l.others.runs(key):
		return l.others.stop(key)
	default:
		return nil
	}
}

// startOther starts a replica of the other version, which listens on sockets of its own.
func (l *Lab) startOther(ctx context.Context, s spec) (err error) {
	if l.others == nil {
		if l.others, err = processesOf(ctx, l, func(string) []string { return []string{l.cfg.OtherVersion} }); err != nil {
			return err
		}
	}
	socket := func(suffix string) string { return "unix:" + l.path("run", s.key+suffix+".sock") }
	s.door, s.state, s.peers = s.key, l.path(s.key), map[string]string{}
	s.listen, s.settings["https"] = socket(""), socket(httpsSuffix)
	id, err := l.ca.Issue(s.name)
	if err != nil {
		return err
	}
	l.put(s.key, socket)
	if err := l.others.start(ctx, s, id); err != nil {
		return fmt.Errorf("start %s as %s: %w", s.key, l.cfg.OtherVersion, err)
	}
	return nil
}

// put takes a replica in again, at its sockets or, without, in this process.
func (l *Lab) put(key string, socket func(suffix string) string) {
	for _, suffix := range []string{"", httpsSuffix} {
		at := ""
		if socket != nil {
			at = socket(suffix)
		}
		l.service.settle(l.addr(key+suffix), at)
		l.service.revive(l.addr(key + suffix))
	}
}

// IsOther says whether a replica is of the other version.
func (l *Lab) IsOther(key string) bool { return l.others != nil && l.others.runs(key) }
