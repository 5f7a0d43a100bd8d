package main

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// endpoint is one end of a connection: a pod, or something outside all namespaces.
type endpoint struct {
	// workload that the pod belongs to, for messages.
	name              string
	namespace         string
	namespaceLabels   map[string]string
	labels            map[string]string
	outsideTheCluster bool
}

// network is what the NetworkPolicies of an overlay permit. It follows the
// specification of networking.k8s.io/v1, for what is used here: selectors of pods and
// namespaces, and ports by number.
type network struct{ policies []*networkingv1.NetworkPolicy }

// allows says whether a new connection to a port is permitted on both sides.
func (n network) allows(from, to endpoint, protocol string, port int32) (bool, error) {
	out, err := n.side(from, to, networkingv1.PolicyTypeEgress, protocol, port)
	if err != nil || !out {
		return false, err
	}
	return n.side(to, from, networkingv1.PolicyTypeIngress, protocol, port)
}

// side judges the policies of one end, whose peer is the other.
func (n network) side(own, peer endpoint, kind networkingv1.PolicyType, protocol string, port int32) (bool, error) {
	if own.outsideTheCluster {
		return true, nil
	}
	isolated := false
	for _, p := range n.policies {
		applies, err := selects(p, own, kind)
		if err != nil {
			return false, err
		}
		if !applies {
			continue
		}
		isolated = true
		for _, r := range rulesOf(p, kind) {
			ok, err := r.permits(p.Namespace, peer, protocol, port)
			if err != nil {
				return false, fmt.Errorf("policy %s/%s: %w", p.Namespace, p.Name, err)
			}
			if ok {
				return true, nil
			}
		}
	}
	return !isolated, nil
}

// selects says whether a policy isolates a pod in one direction.
func selects(p *networkingv1.NetworkPolicy, pod endpoint, kind networkingv1.PolicyType) (bool, error) {
	if p.Namespace != pod.namespace || !slices.Contains(p.Spec.PolicyTypes, kind) {
		return false, nil
	}
	return matches(&p.Spec.PodSelector, pod.labels)
}

// rule is an ingress or an egress rule.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rulesOf(p *networkingv1.NetworkPolicy, kind networkingv1.PolicyType) []rule {
	var all []rule
	if kind == networkingv1.PolicyTypeEgress {
		for _, r := range p.Spec.Egress {
			all = append(all, rule{r.To, r.Ports})
		}
		return all
	}
	for _, r := range p.Spec.Ingress {
		all = append(all, rule{r.From, r.Ports})
	}
	return all
}

func (r rule) permits(namespace string, peer endpoint, protocol string, port int32) (bool, error) {
	ok, err := r.hasPort(protocol, port)
	if err != nil || !ok {
		return false, err
	}
	if len(r.peers) == 0 {
		return true, nil
	}
	for _, p := range r.peers {
		ok, err := peerIs(p, namespace, peer)
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func (r rule) hasPort(protocol string, port int32) (bool, error) {
	if len(r.ports) == 0 {
		return true, nil
	}
	for _, p := range r.ports {
		if p.Port == nil || p.Protocol == nil || p.EndPort != nil || p.Port.StrVal != "" {
			return false, fmt.Errorf("port %v: give protocol and number, and no range", p.Port)
		}
		if string(*p.Protocol) == protocol && p.Port.IntVal == port {
			return true, nil
		}
	}
	return false, nil
}

func peerIs(p networkingv1.NetworkPolicyPeer, namespace string, peer endpoint) (bool, error) {
	if p.IPBlock != nil {
		return false, fmt.Errorf("ipBlock %s: name pods and not addresses", p.IPBlock.CIDR)
	}
	if peer.outsideTheCluster {
		return false, nil
	}
	if p.NamespaceSelector == nil {
		if peer.namespace != namespace {
			return false, nil
		}
	} else if ok, err := matches(p.NamespaceSelector, peer.namespaceLabels); err != nil || !ok {
		return false, err
	}
	if p.PodSelector == nil {
		return true, nil
	}
	return matches(p.PodSelector, peer.labels)
}

func matches(s *metav1.LabelSelector, set map[string]string) (bool, error) {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return false, err
	}
	return selector.Matches(labels.Set(set)), nil
}
