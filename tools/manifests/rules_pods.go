package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// podSecurity asks the evaluator of the admission plug-in itself.
func podSecurity(_ law, o overlay) ([]string, error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	return each(o, func(w workload, say func(string, ...any)) {
		if r := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &w.template.ObjectMeta, &w.template.Spec)); !r.Allowed {
			say("%s", r.ForbiddenDetail())
		}
	}), nil
}

// pinned is a version of Pod Security that does not move under a deployment.
var pinned = regexp.MustCompile(`^v1\.[0-9]+$`)

// namespaces have "restricted" enforced, and everything is in one of them.
func namespaces(_ law, o overlay) (bad []string, _ error) {
	zones := o.zones()
	for _, n := range of[*corev1.Namespace](o) {
		if n.Labels[api.EnforceLevelLabel] != string(api.LevelRestricted) || !pinned.MatchString(n.Labels[api.EnforceVersionLabel]) {
			bad = append(bad, n.Name+" does not enforce Pod Security restricted at a version of its own")
		}
		if n.Labels[zoneLabel] == "" {
			bad = append(bad, n.Name+" is in no zone")
		}
	}
	return append(bad, each(o, func(w workload, say func(string, ...any)) {
		if _, ok := zones[w.namespace]; !ok {
			say("its namespace is not part of the overlay")
		}
	})...), nil
}

// images have a tag that names one version, and are pulled once.
func images(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.containers() {
			_, tag, ok := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
			if !ok || tag == "" || tag == "latest" {
				say("image %s of %s has no version", c.Image, c.Name)
			}
			if c.ImagePullPolicy != corev1.PullIfNotPresent {
				say("imagePullPolicy of %s is %q: a node that has the image needs no registry", c.Name, c.ImagePullPolicy)
			}
		}
	}), nil
}

// resources are asked for and bounded.
func resources(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.containers() {
			r := c.Resources
			if r.Requests.Cpu().IsZero() || r.Requests.Memory().IsZero() || r.Limits.Memory().IsZero() || r.Limits.Cpu().IsZero() {
				say("%s: set requests and limits of cpu and memory", c.Name)
			}
		}
	}), nil
}

// silent are the containers that no probe can ask: an emulated TPM speaks no protocol of
// the kubelet's, and one that is gone takes the agent's health with it.
func silent(w workload, container string) bool {
	return realName(w.component()) == "tpm-agent" && container == "tpm"
}

// probes are there for all that stays: whether it started, is ready, and is alive.
func probes(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.containers() {
			if !w.stays(c) || silent(w, c.Name) {
				continue
			}
			for kind, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
				if p == nil || p.GRPC == nil && p.HTTPGet == nil && p.Exec == nil && p.TCPSocket == nil {
					say("%s has no %s probe", c.Name, kind)
				}
			}
		}
	}), nil
}

// tokens are nobody's but theirs who talk to the API server.
func tokens(_ law, o overlay) ([]string, error) {
	bad := each(o, func(w workload, say func(string, ...any)) {
		if on := w.template.Spec.AutomountServiceAccountToken; on == nil || *on != hasToken(w.component()) {
			say("automountServiceAccountToken must be %v", hasToken(w.component()))
		}
		for _, v := range w.template.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil {
					say("volume %s has a token", v.Name)
				}
			}
		}
	})
	for _, a := range of[*corev1.ServiceAccount](o) {
		if on := a.AutomountServiceAccountToken; on == nil || *on {
			bad = append(bad, a.Namespace+"/"+a.Name+": the ServiceAccount mounts its token by itself")
		}
	}
	return bad, nil
}

// accounts are one a component: an identity is given by the account.
func accounts(_ law, o overlay) ([]string, error) {
	has := map[string]bool{}
	for _, a := range of[*corev1.ServiceAccount](o) {
		has[a.Namespace+"/"+a.Name] = true
	}
	return each(o, func(w workload, say func(string, ...any)) {
		account := w.template.Spec.ServiceAccountName
		if account != realName(w.component()) {
			say("runs as %q and is %q", account, w.component())
		}
		if !has[w.namespace+"/"+account] {
			say("its ServiceAccount %q is not part of the overlay", account)
		}
	}), nil
}

// shells are programs that would let whoever gets into a container look round.
var shells = regexp.MustCompile(`(^|/)(sh|bash|ash|dash|busybox|env)$`)

// closed is what Pod Security does not ask for: nothing to start a program with, nothing
// shared with the node or between containers, nothing written outside volumes (T4).
func closed(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		s := w.template.Spec
		if s.EnableServiceLinks == nil || *s.EnableServiceLinks {
			say("the addresses of all services are in its environment: set enableServiceLinks to false")
		}
		if s.ShareProcessNamespace != nil && *s.ShareProcessNamespace || s.HostNetwork || s.HostPID || s.HostIPC {
			say("shares processes or the node's namespaces")
		}
		if len(s.EphemeralContainers) > 0 {
			say("has an ephemeral container")
		}
		if c := s.SecurityContext; c == nil || c.RunAsUser == nil || *c.RunAsUser == 0 || c.RunAsGroup == nil || *c.RunAsGroup == 0 || c.FSGroup == nil || *c.FSGroup == 0 {
			say("give user, group and fsGroup as numbers")
		}
		for _, c := range w.containers() {
			closedContainer(c, say)
		}
	}), nil
}

func closedContainer(c corev1.Container, say func(string, ...any)) {
	if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
		say("%s can write to its root", c.Name)
	}
	if len(c.Command) > 0 || slices.ContainsFunc(c.Args, shells.MatchString) {
		say("%s: the program is the image's own, and no shell", c.Name)
	}
	if runsPrograms(c) {
		say("%s: a probe or hook starts a program in it", c.Name)
	}
	if c.Stdin || c.TTY {
		say("%s has a terminal", c.Name)
	}
}

func runsPrograms(c corev1.Container) bool {
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p != nil && p.Exec != nil {
			return true
		}
	}
	l := c.Lifecycle
	return l != nil && (l.PreStop != nil && l.PreStop.Exec != nil || l.PostStart != nil && l.PostStart.Exec != nil)
}

// What a container that is told to end does (pkg/run): drain its calls, then send the
// last spans and metrics.
const drainAndFlush = 4 * time.Second

// shutdown leaves the time that a component takes.
func shutdown(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		grace := w.template.Spec.TerminationGracePeriodSeconds
		for _, c := range w.template.Spec.Containers {
			wait := drainAndFlush
			if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil {
				wait += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
			} else if w.labels["lockstep.dev/health"] == "grpc" {
				say("%s ends while others still come to it: give it a preStop sleep", c.Name)
			}
			if grace == nil || time.Duration(*grace)*time.Second < wait {
				say("%s needs %v to end", c.Name, wait)
			}
		}
	}), nil
}

// budgets protect what has replicas from leaving all at once.
func budgets(_ law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		if w.replicas < 2 {
			return
		}
		for _, b := range of[*policyv1.PodDisruptionBudget](o) {
			if ok, err := matches(b.Spec.Selector, w.template.Labels); err == nil && ok && b.Namespace == w.namespace {
				return
			}
		}
		say("%s", fmt.Sprintf("has %d replicas and no PodDisruptionBudget", w.replicas))
	}), nil
}
