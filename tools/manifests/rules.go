package main

import (
	"fmt"
	"slices"
	"strings"
)

// law is what judges are given beside the overlay.
type law struct {
	// root is the folder of the repository.
	root string
	// graph is the call graph of the components.
	graph []edge
	// flags are the flags that each program has, by the name of its image.
	flags map[string][]string
	// settings are the names for --set of each component.
	settings map[string][]string
}

// judge returns a line for each place of an overlay that breaks a rule.
type judge func(law, overlay) ([]string, error)

// rules are all judges by name.
func rules() map[string]judge {
	return map[string]judge{
		"pod-security": podSecurity, "namespaces": namespaces, "images": images, "resources": resources, "probes": probes,
		"tokens": tokens, "accounts": accounts, "closed": closed, "volumes": volumes, "secrets": secrets, "shutdown": shutdown,
		"replicas": budgets, "names": names, "addresses": addresses, "flags": flagsExist, "stand-ins": standInsAreInLabs,
		"default-deny": defaultDeny, "tpm-agent": agentHasNoWayOut, "call-graph": policiesAreTheCallGraph,
		"identities": identities, "peers": peersArePods, "places": places,
	}
}

// check runs every rule over every overlay.
func check(l law, all []overlay) ([]string, error) {
	var bad []string
	for _, o := range all {
		for name, judge := range rules() {
			found, err := judge(l, o)
			if err != nil {
				return nil, fmt.Errorf("overlay %s, rule %s: %w", o.name, name, err)
			}
			for _, f := range found {
				bad = append(bad, fmt.Sprintf("overlay %s, rule %s: %s", o.name, name, f))
			}
		}
	}
	slices.Sort(bad)
	return slices.Compact(bad), nil
}

// each judges the workloads one by one.
func each(o overlay, f func(w workload, say func(format string, args ...any))) []string {
	var bad []string
	for _, w := range o.workloads() {
		f(w, func(format string, args ...any) { bad = append(bad, w.String()+": "+fmt.Sprintf(format, args...)) })
	}
	return bad
}

// hasToken are the components that talk to the API server. Everybody else has no token.
func hasToken(name string) bool { return name == "signer" || name == "bootstrap" }

// realName is in whose place a stand-in is, or the name itself.
func realName(component string) string { return strings.TrimPrefix(component, standInPrefix) }
