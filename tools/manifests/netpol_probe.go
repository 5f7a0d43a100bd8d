package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// probeLabel is on every pod that a probe makes, and on nothing else.
const probeLabel = "lockstep.dev/probe"

// settled is how long a new pod waits before it connects: who enforces policies learns of
// it when it runs, and until then refuses what is permitted, or permits what is forbidden.
const settled = "15s"

// prober tries the connections of an overlay in a cluster where it runs.
type prober struct {
	kubectl kubectl
	image   string
	overlay overlay
}

// run finds the pods, probes from beside each, and takes its own pods away again.
func (p prober) run(ctx context.Context) (_ []attempt, err error) {
	permitted, all, err := connections(p.overlay)
	if err != nil {
		return nil, err
	}
	addresses, err := p.addresses(ctx)
	if err != nil {
		return nil, err
	}
	targets := map[string][]string{} // by pod that connects
	for _, c := range all {
		address, ok := addresses[c.to.namespace+"/"+c.to.name]
		if !ok {
			return nil, fmt.Errorf("no pod of %s/%s runs: bring the overlay %s up first", c.to.namespace, c.to.name, p.overlay.name)
		}
		from := c.from.namespace + "/" + c.from.name
		targets[from] = append(targets[from], net.JoinHostPort(address, strconv.Itoa(int(c.port))))
	}
	var pods []corev1.Pod
	for _, e := range distinct(all) {
		pods = append(pods, p.pod(e, targets[e.namespace+"/"+e.name]))
	}
	defer func() { err = errors.Join(err, p.clean(context.WithoutCancel(ctx))) }()
	open, err := p.probe(ctx, pods)
	if err != nil {
		return nil, err
	}
	own, err := p.ownNode(ctx)
	if err != nil {
		return nil, err
	}
	var tried []attempt
	for _, c := range all {
		key := c.from.namespace + "/" + c.from.name + " " + net.JoinHostPort(addresses[c.to.namespace+"/"+c.to.name], strconv.Itoa(int(c.port)))
		r, ok := open[key]
		if !ok {
			return nil, fmt.Errorf("%s was not tried", c)
		}
		a := attempt{connection: c, permitted: permitted[c.String()], open: r.Open, why: r.Why}
		a.own = own && c.to.namespace == "" && !a.permitted
		tried = append(tried, a)
	}
	return tried, nil
}

// distinct are the ends that connections begin at.
func distinct(all []connection) (from []endpoint) {
	for _, c := range all {
		if !slices.ContainsFunc(from, func(e endpoint) bool { return e.name == c.from.name && e.namespace == c.from.namespace }) {
			from = append(from, c.from)
		}
	}
	return from
}

// addresses are the IPs of running pods, by namespace and component, and of the API server.
func (p prober) addresses(ctx context.Context) (map[string]string, error) {
	raw, err := p.kubectl(ctx, nil, "get", "pods", "--all-namespaces", "--output=json", "--selector=app.kubernetes.io/part-of=lockstep")
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("list of pods: %w", err)
	}
	found := map[string]string{}
	for _, pod := range list.Items {
		if pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "" && pod.DeletionTimestamp == nil && pod.Labels[probeLabel] == "" {
			found[pod.Namespace+"/"+pod.Labels[nameLabel]] = pod.Status.PodIP
		}
	}
	ip, err := p.kubectl(ctx, nil, "get", "service", "kubernetes", "--namespace=default", "--output=jsonpath={.spec.clusterIP}")
	if err != nil {
		return nil, err
	}
	found["/api-server"] = strings.TrimSpace(string(ip))
	return found, nil
}

// ownNode says that the API server is on the one node that there is. What a pod and its
// own node say to each other is always permitted (Kubernetes documentation, "Network
// Policies", on pod isolation), so nothing can be learnt about the way there.
func (p prober) ownNode(ctx context.Context) (bool, error) {
	nodes, err := p.kubectl(ctx, nil, "get", "nodes", "--output=jsonpath={.items[*].status.addresses[?(@.type==\"InternalIP\")].address}")
	if err != nil {
		return false, err
	}
	api, err := p.kubectl(ctx, nil, "get", "endpointslices", "--namespace=default", "--selector=kubernetes.io/service-name=kubernetes", "--output=jsonpath={.items[*].endpoints[*].addresses[*]}")
	if err != nil {
		return false, err
	}
	ip := strings.TrimSpace(string(nodes))
	return ip != "" && !strings.Contains(ip, " ") && ip == strings.TrimSpace(string(api)), nil
}

// pod is one that connects as a component: with its labels, by which policies know it,
// and without its ServiceAccount, by which it would have an identity.
func (p prober) pod(e endpoint, targets []string) corev1.Pod {
	labels := map[string]string{probeLabel: "true"}
	for k, v := range e.labels {
		labels[k] = v
	}
	no, yes, nobody := false, true, int64(65532)
	some := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")}
	most := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
	return corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "reach-from-" + e.name, Namespace: e.namespace, Labels: labels},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &nobody, RunAsGroup: &nobody, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "reach", Image: p.image, ImagePullPolicy: corev1.PullIfNotPresent, Args: append([]string{"reach", "--after=" + settled}, targets...),
				Resources:       corev1.ResourceRequirements{Requests: some, Limits: most},
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
}

// result is a line of what the command reach prints.
type result struct {
	Target string `json:"target"`
	Open   bool   `json:"open"`
	Why    string `json:"why"`
}

// probe runs the pods and returns their results by "NAMESPACE/COMPONENT TARGET".
func (p prober) probe(ctx context.Context, pods []corev1.Pod) (map[string]result, error) {
	if err := p.clean(ctx); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, pod := range pods {
		if err := json.NewEncoder(&text).Encode(pod); err != nil {
			return nil, fmt.Errorf("pod %s: %w", pod.Name, err)
		}
	}
	if _, err := p.kubectl(ctx, text.Bytes(), "create", "--filename=-"); err != nil {
		return nil, err
	}
	open := map[string]result{}
	for _, pod := range pods {
		if _, err := p.kubectl(ctx, nil, "wait", "pod/"+pod.Name, "--namespace="+pod.Namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=5m"); err != nil {
			return nil, err
		}
		out, err := p.kubectl(ctx, nil, "logs", pod.Name, "--namespace="+pod.Namespace)
		if err != nil {
			return nil, err
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
			var r result
			if err := dec.Decode(&r); err != nil {
				return nil, fmt.Errorf("what %s/%s says: %w", pod.Namespace, pod.Name, err)
			}
			open[pod.Namespace+"/"+pod.Labels[nameLabel]+" "+r.Target] = r
		}
	}
	return open, nil
}

// clean removes the pods of probes, and no others.
func (p prober) clean(ctx context.Context) error {
	_, err := p.kubectl(ctx, nil, "delete", "pods", "--all-namespaces", "--selector="+probeLabel+"=true", "--ignore-not-found", "--wait=true")
	return err
}
