package lab

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	faultv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
	"github.com/lockstep-sso/lockstep/services/faulty"
)

// Suffixes of the keys of a component that a stand-in is before, and of the stand-in.
const (
	realSuffix   = ".real"
	faultySuffix = ".faulty"
)

// RealKey is the key of the address at which a component listens that a stand-in is before.
func RealKey(key string) string { return key + realSuffix }

// nameAt is the name of the component that serves at the address of a key.
func nameAt(key string) string {
	name := strings.TrimSuffix(path.Base(key), realSuffix)
	if n, is := strings.CutPrefix(name, "idp-"); is && strings.Trim(n, "0123456789") == "" {
		return "idp" // a replica
	}
	return name
}

// SwapIn puts a stand-in in the place of a component and has it break calls by rules; the
// component itself listens at RealKey from now on. Where there is a stand-in already it
// gets the rules. A key is "idp", or "device-1/tpm-agent".
//
// In a deployment it has to stand there already, and gets the rules.
//
// In one process the component notices nothing and calls under way end well. As a
// process it starts anew on what it keeps, and so a cloud that keeps nothing refuses:
// start such a lab with Config.StandIns.
func (l *Lab) SwapIn(ctx context.Context, key, rules string) error {
	if err := l.has(key); err != nil {
		return err
	}
	if l.Swapped(key) || l.Elsewhere() {
		return l.SetRules(ctx, key, rules)
	}
	if device, ok := l.tpmOf(key); ok {
		return l.swapInTPM(ctx, device, key, rules)
	}
	if err := l.mayMove(key); err != nil {
		return err
	}
	if _, err := fault.Parse(rules); err != nil {
		return prterr.New(prterr.Invalid, "%v", err)
	}
	l.setSwapped(key, true)
	if err := l.host.move(ctx, key, l.addr(RealKey(key))); err != nil {
		return fmt.Errorf("make room for a stand-in of %s: %w", key, err)
	}
	if err := l.standIn(ctx, key); err != nil {
		return err
	}
	return l.SetRules(ctx, key, rules)
}

// mayMove refuses what would lose what the component keeps in memory alone.
func (l *Lab) mayMove(key string) error {
	if key == "idp" && l.ReplicaKeys() != nil {
		return prterr.New(prterr.Conflict, "a stand-in takes the place of one component, and idp is several: kill one of them, or start a lab with one")
	}
	if l.cfg.Processes && l.hasHTTPS(key) {
		return prterr.New(prterr.Conflict, "as a process %s keeps the address of its HTTPS side: start the lab with a stand-in for it", key)
	}
	if l.cfg.Processes && !l.cfg.KeepCloud && !strings.Contains(key, "/") {
		return prterr.New(prterr.Conflict, "%s would forget everything, because as a process it has to start anew for that: start the lab with a stand-in for it", key)
	}
	return nil
}

// standIn starts the stand-in of a component without rules, at the component's address.
func (l *Lab) standIn(ctx context.Context, key string) error {
	s := spec{
		key: key + faultySuffix, name: faulty.Name, standsFor: path.Base(key), door: key, listen: l.addr(key), state: l.path(key + faultySuffix),
		settings: map[string]string{"real": l.addr(RealKey(key)), "seed": fmt.Sprint(l.cfg.FaultSeed)},
	}
	if device, component, ok := strings.Cut(key, "/"); ok {
		s.settings["other"] = l.addr(another(device) + "/" + component)
	}
	if err := l.standInHTTPS(key, s); err != nil {
		return err
	}
	maps.Copy(s.settings, l.cfg.StandInSettings[path.Base(key)])
	id, err := l.ca.Issue(s.standsFor)
	if err != nil {
		return err
	}
	if err := l.host.start(ctx, s, id); err != nil {
		return fmt.Errorf("start the stand-in of %s: %w", key, err)
	}
	return nil
}

// another is the device to which other-device leads: the second, and from there the first.
func another(device string) string {
	if device == "device-1" {
		return "device-2"
	}
	return "device-1"
}

// SetRules replaces the rules of a stand-in. Rules that it cannot do change nothing.
func (l *Lab) SetRules(ctx context.Context, key, rules string) error {
	if err := l.hasStandIn(key); err != nil {
		return err
	}
	return l.setRules(ctx, key, rules)
}

// setRules is SetRules for a stand-in that is there.
func (l *Lab) setRules(ctx context.Context, key, rules string) error {
	conn, err := l.Dial(ctx, "operator", key)
	if err != nil {
		return err
	}
	_, err = faultv1.NewFaultServiceClient(conn).SetRules(ctx, &faultv1.SetRulesRequest{Rules: rules, Seed: l.cfg.FaultSeed})
	return l.noStandIn(key, err)
}

// noStandIn says what it means in a deployment that a component has no such service.
func (l *Lab) noStandIn(key string, err error) error {
	if k := prterr.KindOf(err); l.Elsewhere() && (k == prterr.NotFound || k == prterr.Denied) {
		return prterr.Wrap(prterr.Conflict, err, "what answers at %s is %s itself: deploy the overlay with a stand-in for it first", l.addr(key), key)
	}
	return err
}

// Rules tells the rules of a stand-in and how often each struck.
func (l *Lab) Rules(ctx context.Context, key string) (*faultv1.DescribeRulesResponse, error) {
	if err := l.hasStandIn(key); err != nil {
		return nil, err
	}
	conn, err := l.Dial(ctx, "operator", key)
	if err != nil {
		return nil, err
	}
	rules, err := faultv1.NewFaultServiceClient(conn).DescribeRules(ctx, &faultv1.DescribeRulesRequest{})
	return rules, l.noStandIn(key, err)
}

// Heal takes all rules from a stand-in. It stays and hands everything on.
func (l *Lab) Heal(ctx context.Context, key string) error { return l.SetRules(ctx, key, "") }

func (l *Lab) hasStandIn(key string) error {
	if err := l.has(key); err != nil {
		return err
	}
	if !l.Elsewhere() && !l.Swapped(key) {
		return prterr.New(prterr.Conflict, "no stand-in is before %s: swap one in first", key)
	}
	return nil
}

// Swapped says whether a stand-in is before a component.
func (l *Lab) Swapped(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.swapped[key]
}

// SwappedKeys are the components that a stand-in is before, in alphabetical order.
func (l *Lab) SwappedKeys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.swapped))
}

func (l *Lab) setSwapped(key string, yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if delete(l.swapped, key); yes {
		l.swapped[key] = true
	}
}

// Keys are the components of the lab: the cloud's, then those of its devices.
func (l *Lab) Keys() []string {
	keys := []string{"adfs", "idp"}
	for _, d := range l.devices {
		for _, c := range d.Components() {
			keys = append(keys, d.Key(c))
		}
	}
	return keys
}

func (l *Lab) has(key string) error {
	if l.Elsewhere() {
		if l.addr(key) == "" {
			return prterr.New(prterr.Invalid, "the deployment has no component %.80q", key)
		}
		return nil
	}
	if _, ok := l.tpmOf(key); ok || slices.Contains(l.Keys(), key) {
		return nil
	}
	return prterr.New(prterr.Invalid, "the lab has no component %.80q: it has %s", key, strings.Join(l.Keys(), ", "))
}

// fromTheStart puts a stand-in before a component that is about to start, when the lab
// is to have one there.
func (l *Lab) fromTheStart(ctx context.Context, s spec) error {
	rules, faulted := l.cfg.Faults[s.name]
	if !faulted && (l.cfg.StandIns == nil || !l.cfg.StandIns(s.key)) || l.Swapped(s.key) {
		return nil
	}
	if err := faulty.Known(s.name); err != nil {
		return err
	}
	l.setSwapped(s.key, true)
	if err := l.standIn(ctx, s.key); err != nil || rules == "" {
		return err
	}
	return l.setRules(ctx, s.key, rules)
}
