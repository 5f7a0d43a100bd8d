package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// cluster is one as far as the probe sees it through kubectl: pods with addresses, and an
// answer to each connection.
type cluster struct {
	overlay overlay
	// opens says whether a connection opens, given what the policies say.
	opens func(c connection, permitted bool) bool
	// missing is a component that does not run.
	missing string
	made    []corev1.Pod
	// ways are the connections by who tries them, and to where; ips are addresses by
	// namespace and component.
	ways      map[string]connection
	permitted map[string]bool
	ips       map[string]string
	cleaned   int
	// nodes are the addresses of the nodes; none is two of them.
	nodes string
}

func (c *cluster) kubectl(_ context.Context, stdin []byte, args ...string) ([]byte, error) {
	switch args[0] {
	case "get":
		switch args[1] {
		case "service":
			return []byte(c.ips["/api-server"]), nil
		case "nodes":
			return []byte(cmp.Or(c.nodes, "10.1.0.1 10.1.0.2")), nil
		case "endpointslices":
			return []byte("10.1.0.1"), nil
		}
		return c.pods()
	case "delete":
		c.cleaned++
		return nil, nil
	case "create":
		for dec := json.NewDecoder(bytes.NewReader(stdin)); dec.More(); {
			var pod corev1.Pod
			if err := dec.Decode(&pod); err != nil {
				return nil, err
			}
			c.made = append(c.made, pod)
		}
		return nil, nil
	case "wait":
		return nil, nil
	case "logs":
		return c.logs(args[1], strings.TrimPrefix(args[2], "--namespace="))
	}
	return nil, fmt.Errorf("unexpected: %q", args)
}

func (c *cluster) pods() ([]byte, error) {
	var list corev1.PodList
	add := func(namespace, name, ip string, phase corev1.PodPhase, labels map[string]string) {
		list.Items = append(list.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}, Status: corev1.PodStatus{Phase: phase, PodIP: ip}})
	}
	pods, _ := ends(c.overlay)
	for _, e := range pods {
		if e.outsideTheCluster || e.name == c.missing {
			continue
		}
		add(e.namespace, e.name+"-0", c.ips[e.namespace+"/"+e.name], corev1.PodRunning, e.labels)
		// What ended, and a probe that was left, are no targets.
		add(e.namespace, e.name+"-old", "10.9.9.9", corev1.PodFailed, e.labels)
		add(e.namespace, "reach-from-"+e.name, "10.9.9.8", corev1.PodRunning, map[string]string{nameLabel: e.name, probeLabel: "true"})
	}
	return json.Marshal(list)
}

func (c *cluster) logs(pod, namespace string) ([]byte, error) {
	i := slices.IndexFunc(c.made, func(p corev1.Pod) bool { return p.Name == pod && p.Namespace == namespace })
	if i < 0 {
		return nil, errors.New("there is no such pod")
	}
	var out bytes.Buffer
	for _, target := range c.made[i].Spec.Containers[0].Args[2:] {
		conn, ok := c.ways[namespace+"/"+pod+" "+target]
		if !ok {
			return nil, fmt.Errorf("%s is no target of %s", target, pod)
		}
		r := result{Target: target, Open: c.opens(conn, c.permitted[conn.String()])}
		if !r.Open {
			r.Why = "timeout"
		}
		if err := json.NewEncoder(&out).Encode(r); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// build makes the cluster one in which an overlay runs.
func (c *cluster) build(t *testing.T, o overlay) {
	t.Helper()
	permitted, all, err := connections(o)
	if err != nil {
		t.Fatal(err)
	}
	c.overlay, c.permitted, c.ways, c.ips = o, permitted, map[string]connection{}, map[string]string{}
	pods, _ := ends(o)
	for i, e := range pods {
		c.ips[e.namespace+"/"+e.name] = fmt.Sprintf("10.0.0.%d", i+1)
	}
	for _, conn := range all {
		to := net.JoinHostPort(c.ips[conn.to.namespace+"/"+conn.to.name], fmt.Sprint(conn.port))
		c.ways[conn.from.namespace+"/reach-from-"+conn.from.name+" "+to] = conn
	}
}

// verify runs the whole probe against a cluster.
func verify(t *testing.T, c *cluster) (string, error) {
	t.Helper()
	objects := every(t)[slices.IndexFunc(every(t), func(o overlay) bool { return o.name == "two-devices" })].objects
	c.build(t, overlay{"two-devices", objects})
	tried, err := prober{kubectl: c.kubectl, image: "lockstep/lockstep:dev", overlay: c.overlay}.run(t.Context())
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = report(&out, tried)
	return out.String(), err
}

// TestT5_NetpolProbe tells a cluster that enforces the policies from one that does not,
// or not quite.
func TestT5_NetpolProbe(t *testing.T) {
	enforced := &cluster{opens: func(_ connection, permitted bool) bool { return permitted }}
	table, err := verify(t, enforced)
	if err != nil || !strings.Contains(table, "open    lockstep-device-1/dsreg -> lockstep-device-1/tpm-agent:9443\n") ||
		!strings.Contains(table, "closed  lockstep-device-1/tpm-agent -> lockstep-cloud/idp:9443\n") || !strings.Contains(table, "closed  lockstep-device-2/dsreg -> lockstep-device-1/tpm-agent:9443\n") {
		t.Errorf("a cluster that enforces: %v\n%s", err, table)
	}
	if enforced.cleaned != 2 {
		t.Errorf("pods of probes were removed %d times, and should be before and after", enforced.cleaned)
	}
	for name, c := range map[string]struct {
		opens func(connection, bool) bool
		says  string
	}{
		"nobody enforces": {func(connection, bool) bool { return true }, "nobody enforces"},
		"nothing opens":   {func(connection, bool) bool { return false }, "permitted connections did not open"},
		"one leak": {func(c connection, permitted bool) bool {
			return permitted || c.from.name == "tpm-agent" && c.to.name == "jaeger" && c.port == otlpPort && c.from.namespace == "lockstep-device-1"
		}, "1 forbidden connections opened"},
	} {
		if table, err := verify(t, &cluster{opens: c.opens}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\n%s", name, err, table)
		}
	}
	if _, err := verify(t, &cluster{missing: "adfs", opens: func(_ connection, permitted bool) bool { return permitted }}); err == nil || !strings.Contains(err.Error(), "no pod of lockstep-cloud/adfs runs") {
		t.Errorf("a component that does not run: %v", err)
	}
	toAPI := func(c connection, permitted bool) bool { return permitted || c.to.name == "api-server" }
	if table, err := verify(t, &cluster{opens: toAPI}); err == nil {
		t.Errorf("the way to an API server on another node is open, and passes:\n%s", table)
	}
	if table, err := verify(t, &cluster{opens: toAPI, nodes: "10.1.0.1"}); err != nil || !strings.Contains(table, "the pod's own node") {
		t.Errorf("the way to the API server on the pod's own node: %v\n%s", err, table)
	}
	if report(&strings.Builder{}, nil) == nil || report(&strings.Builder{}, []attempt{{permitted: true, open: true}}) == nil {
		t.Error("nothing tried, or nothing forbidden, passes")
	}
}

// The pods of the probe are admitted where components are, and have no identity.
func TestProbePodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := prober{image: "lockstep/lockstep:dev"}.pod(endpoint{name: "idp", namespace: "lockstep-cloud", labels: map[string]string{nameLabel: "idp"}}, []string{"10.0.0.1:9443"})
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if r := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !r.Allowed {
		t.Error(r.ForbiddenDetail())
	}
	if pod.Spec.ServiceAccountName != "" || len(pod.Spec.Volumes) > 0 {
		t.Error("a probe has somebody's ServiceAccount or volumes")
	}
}

// The evaluator follows the specification where the manifests use it.
func TestPolicies(t *testing.T) {
	parse := func(text string) *networkingv1.NetworkPolicy {
		o, err := decode([]byte("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: a}\n" + text))
		if err != nil {
			t.Fatal(err)
		}
		return o.Object.(*networkingv1.NetworkPolicy)
	}
	in := func(namespace, name string) endpoint {
		return endpoint{name: name, namespace: namespace, namespaceLabels: map[string]string{"zone": namespace}, labels: map[string]string{"app": name}}
	}
	for _, c := range []struct {
		text     string
		from, to endpoint
		want     bool
	}{
		{"spec: {podSelector: {}, policyTypes: [Ingress]}", in("b", "x"), in("b", "y"), true}, // another namespace's
		{"spec: {podSelector: {}, policyTypes: [Ingress]}", in("b", "x"), in("a", "y"), false},
		{"spec: {podSelector: {}, policyTypes: [Ingress]}", in("a", "y"), in("b", "x"), true}, // the other way
		{"spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}", in("b", "x"), in("a", "y"), true},
		{"spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}", in("b", "x"), in("a", "y"), false},
		{"spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}]}]}", in("a", "x"), in("a", "y"), true},
		{"spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {zone: b}}}]}]}", in("b", "x"), in("a", "y"), true},
		{"spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {zone: b}}, podSelector: {matchLabels: {app: z}}}]}]}", in("b", "x"), in("a", "y"), false},
		{"spec: {podSelector: {matchLabels: {app: z}}, policyTypes: [Egress]}", in("a", "x"), in("b", "y"), true},
		{"spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: TCP, port: 2}]}]}", in("a", "x"), in("b", "y"), false},
		{"spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 1}]}]}", in("a", "x"), in("b", "y"), false},
		{"spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: TCP, port: 1}]}]}", in("a", "x"), in("b", "y"), true},
	} {
		got, err := network{[]*networkingv1.NetworkPolicy{parse(c.text)}}.allows(c.from, c.to, "TCP", 1)
		if err != nil || got != c.want {
			t.Errorf("%s, %s -> %s: %v, %v", c.text, c.from.name, c.to.name, got, err)
		}
	}
	for _, bad := range []string{
		"spec: {podSelector: {}, policyTypes: [Egress], egress: [{ports: [{protocol: TCP, port: grpc}]}]}",
		"spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}",
	} {
		if _, err := (network{[]*networkingv1.NetworkPolicy{parse(bad)}}).allows(in("a", "x"), in("b", "y"), "TCP", 1); err == nil {
			t.Errorf("what this cannot judge was judged: %s", bad)
		}
	}
}
