package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// edge is a connection that is meant: FROM and TO are names in pods' labels.
type edge struct {
	from, to string
	port     int32
}

const (
	grpcPort      = 9443
	spoolPort     = 9444
	httpsPort     = 8443
	healthPort    = 8081
	otlpPort      = 4317
	jaegerPort    = 16686
	scrapePort    = 8889
	databasePort  = 5432
	apiServerPort = 443
)

// actedBy are the names of the call graph that are no pods, with the pod that acts them.
func actedBy() map[string]string {
	acted := map[string]string{"observer": "telemetry"}
	for _, actor := range []string{"logonui", "app", "window", "browser", "settings", "operator"} {
		acted[actor] = "player"
	}
	return acted
}

// callGraph reads deploy/callgraph.txt, which tools/archtest writes from the allow-lists
// of the components.
func callGraph(root string) ([]edge, error) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "callgraph.txt"))
	if err != nil {
		return nil, fmt.Errorf("call graph: %w", err)
	}
	return parseGraph(string(text))
}

// parseGraph takes lines of FROM TO. A laboratory in one process is no pod, a stand-in has
// the way to whom it stands in for, and who calls itself does so inside a pod.
func parseGraph(text string) ([]edge, error) {
	var edges []edge
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		ends := strings.Fields(line)
		if len(ends) != 2 {
			return nil, fmt.Errorf("call graph, line %d: %q is not FROM TO", i+1, line)
		}
		for j, name := range ends {
			if pod := actedBy()[name]; pod != "" {
				ends[j] = pod
			}
		}
		switch e := (edge{ends[0], ends[1], grpcPort}); {
		case e.to == "lab" || e.to == "faulty" || e.from == e.to:
		case e == edge{"telemetry", "tpm-agent", grpcPort}:
			edges = append(edges, edge{e.from, e.to, spoolPort})
		default:
			edges = append(edges, e)
		}
	}
	return edges, nil
}

// beside are the connections that are no calls between components.
func beside(o overlay) []edge {
	edges := []edge{
		{"telemetry", "tpm-agent", spoolPort},   // traces and metrics of the agent are fetched
		{"player", "browsercore", grpcPort},     // a browser starts its native host
		{"collector", "jaeger", otlpPort},       // traces
		{"player", "jaeger", jaegerPort},        // reads them back
		{"player", "idp", httpsPort},            // pages
		{"player", "adfs", httpsPort},           // pages
		{"prometheus", "collector", scrapePort}, // metrics
		{"idp", "postgres", databasePort},       // with replicas
		{"signer", "api-server", apiServerPort}, // requests for certificates
		{"bootstrap", "api-server", apiServerPort},
	}
	for _, w := range o.workloads() {
		zone := o.zones()[w.namespace]
		if (zone == "device" || zone == "cloud" || zone == "player") && w.component() != "tpm-agent" && w.component() != "postgres" {
			edges = append(edges, edge{w.component(), "collector", otlpPort})
		}
		for _, c := range w.containers() {
			for _, arg := range c.Args {
				for _, server := range []string{"idp", "adfs"} {
					if strings.HasPrefix(arg, "--peer="+server+"=https://") {
						edges = append(edges, edge{w.component(), server, httpsPort})
					}
				}
			}
		}
	}
	return edges
}

// standIns moves the edges to a component that a stand-in takes the place of.
func standIns(o overlay, edges []edge) []edge {
	for _, w := range o.workloads() {
		behind, ok := strings.CutPrefix(w.component(), standInPrefix)
		if !ok {
			continue
		}
		for i, e := range edges {
			if e.to == behind && e.port == grpcPort {
				edges[i].to = w.component()
			}
		}
		edges = append(edges, edge{w.component(), behind, grpcPort})
	}
	return edges
}

// connection is one that is possible between two pods of an overlay.
type connection struct {
	from, to endpoint
	port     int32
}

// String names it in findings.
func (c connection) String() string {
	return fmt.Sprintf("%s/%s -> %s/%s:%d", c.from.namespace, c.from.name, c.to.namespace, c.to.name, c.port)
}

// ends are the pods of an overlay, one a workload, with the ports that each has, and the
// API server.
func ends(o overlay) (pods []endpoint, ports map[string][]int32) {
	namespaces := map[string]map[string]string{}
	for _, n := range of[*corev1.Namespace](o) {
		namespaces[n.Name] = n.Labels
	}
	ports = map[string][]int32{}
	for _, w := range o.workloads() {
		if slices.ContainsFunc(pods, func(e endpoint) bool { return e.namespace == w.namespace && e.name == w.component() }) {
			continue // a second Job of the same account
		}
		pods = append(pods, endpoint{w.component(), w.namespace, namespaces[w.namespace], w.template.Labels, false})
		for _, c := range w.containers() {
			for _, p := range c.Ports {
				ports[w.namespace+"/"+w.component()] = append(ports[w.namespace+"/"+w.component()], p.ContainerPort)
			}
		}
	}
	pods = append(pods, endpoint{name: "api-server", outsideTheCluster: true})
	ports["/api-server"] = []int32{apiServerPort}
	return pods, ports
}

// meant says whether the call graph, or what stands beside it, has a connection. Devices
// are strangers: an edge between two components of devices is one inside a device.
func meant(o overlay, edges []edge, c connection) bool {
	zones := o.zones()
	if zones[c.from.namespace] == "device" && zones[c.to.namespace] == "device" && c.from.namespace != c.to.namespace {
		return false
	}
	return slices.Contains(edges, edge{c.from.name, c.to.name, c.port})
}

// connections are all that are possible, with whether the policies permit each.
func connections(o overlay) (map[string]bool, []connection, error) {
	n := network{of[*networkingv1.NetworkPolicy](o)}
	pods, ports := ends(o)
	permitted, all := map[string]bool{}, []connection{}
	for _, from := range pods {
		if from.outsideTheCluster {
			continue
		}
		for _, to := range pods {
			if from.name == to.name && from.namespace == to.namespace {
				continue
			}
			for _, port := range ports[to.namespace+"/"+to.name] {
				c := connection{from, to, port}
				ok, err := n.allows(from, to, "TCP", port)
				if err != nil {
					return nil, nil, err
				}
				all = append(all, c)
				permitted[c.String()] = ok
			}
		}
	}
	return permitted, all, nil
}
