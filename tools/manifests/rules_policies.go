package main

import (
	"fmt"
	"maps"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// defaultDeny is in every namespace, for both ways.
func defaultDeny(_ law, o overlay) (bad []string, _ error) {
	for _, namespace := range slices.Sorted(maps.Keys(o.zones())) {
		if !slices.ContainsFunc(of[*networkingv1.NetworkPolicy](o), func(p *networkingv1.NetworkPolicy) bool {
			s := p.Spec
			return p.Namespace == namespace && len(s.PodSelector.MatchLabels)+len(s.PodSelector.MatchExpressions) == 0 && len(s.PolicyTypes) == 2 && len(s.Ingress)+len(s.Egress) == 0
		}) {
			bad = append(bad, namespace+" has no policy that denies everything both ways")
		}
	}
	return bad, nil
}

// agentHasNoWayOut looks for a way out of the tpm-agent's pods, be it for names or for
// telemetry (T5).
func agentHasNoWayOut(_ law, o overlay) ([]string, error) {
	var bad []string
	for _, w := range o.workloads() {
		if w.component() != "tpm-agent" {
			continue
		}
		pod := endpoint{name: w.component(), namespace: w.namespace, labels: w.template.Labels}
		isolated := false
		for _, p := range of[*networkingv1.NetworkPolicy](o) {
			applies, err := selects(p, pod, networkingv1.PolicyTypeEgress)
			if err != nil {
				return nil, err
			}
			isolated = isolated || applies
			if applies && len(p.Spec.Egress) > 0 {
				bad = append(bad, fmt.Sprintf("policy %s/%s lets the tpm-agent out", p.Namespace, p.Name))
			}
		}
		if !isolated {
			bad = append(bad, w.String()+": no policy shuts its way out")
		}
	}
	return bad, nil
}

// peersArePods wants every peer of a policy to be pods by name: a namespace as a whole lets
// in whatever comes to run in it, and an address, or no peer at all, whoever has the address.
// The API server has one, which no policy can name: the signer's way to it is the exception.
func peersArePods(_ law, o overlay) (bad []string, _ error) {
	zones := o.zones()
	for _, p := range of[*networkingv1.NetworkPolicy](o) {
		say := func(what string) { bad = append(bad, fmt.Sprintf("policy %s/%s: %s", p.Namespace, p.Name, what)) }
		var peers []networkingv1.NetworkPolicyPeer
		for _, in := range p.Spec.Ingress {
			if peers = append(peers, in.From...); len(in.From) == 0 {
				say("anybody may come in")
			}
		}
		for _, out := range p.Spec.Egress {
			if peers = append(peers, out.To...); len(out.To) == 0 && zones[p.Namespace] != "identity" {
				say("the way out leads anywhere")
			}
		}
		for _, peer := range peers {
			if s := peer.PodSelector; peer.IPBlock != nil || s == nil || len(s.MatchLabels) == 0 {
				say("a peer is not named by labels of its pods")
			}
		}
	}
	return bad, nil
}

// policiesAreTheCallGraph compares every pair of pods and every port: what is permitted is
// an edge, and every edge is permitted.
func policiesAreTheCallGraph(l law, o overlay) (bad []string, _ error) {
	edges := standIns(o, append(slices.Clone(l.graph), beside(o)...))
	permitted, all, err := connections(o)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		switch want := meant(o, edges, c); {
		case permitted[c.String()] && !want:
			bad = append(bad, c.String()+" is permitted and is no edge of the call graph")
		case !permitted[c.String()] && want:
			bad = append(bad, c.String()+" is an edge of the call graph and not permitted")
		}
	}
	return bad, nil
}

// standInsAreInLabs: a stand-in is only where every component that it could deceive says
// that it is in a laboratory, and says so itself (T10).
func standInsAreInLabs(_ law, o overlay) ([]string, error) {
	var there bool
	lab := func(w workload) bool { return slices.Contains(w.template.Spec.Containers[0].Args, "--lab") }
	for _, w := range o.workloads() {
		there = there || realName(w.component()) != w.component()
	}
	return each(o, func(w workload, say func(string, ...any)) {
		if there && w.labels["lockstep.dev/clock"] == "own" && !lab(w) {
			say("a stand-in is beside it, and it does not have --lab")
		}
		for _, c := range w.containers() {
			standIn := realName(w.component()) != w.component()
			if faulty := imageName(c.Image) == "faulty"; faulty != standIn {
				say("%s: the image faulty and the prefix %s belong together", c.Name, standInPrefix)
			} else if faulty && !lab(w) {
				say("%s: a stand-in without --lab", c.Name)
			}
		}
	}), nil
}
