package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// short is a name of the cluster that does not end with a dot. Resolvers try such a name
// with every suffix of their search list first, and gRPC asks for a TXT record besides:
// seconds, where the last resolver is not reachable.
var short = regexp.MustCompile(`[a-z0-9.$()A-Z-]+\.svc(\.cluster\.local)?(:|/|"|\s|$)`)

// names end with a dot.
func names(_ law, o overlay) (bad []string, _ error) {
	for _, obj := range o.objects {
		for _, found := range short.FindAllString(string(obj.YAML), -1) {
			bad = append(bad, fmt.Sprintf("%s: %s: write the full name with a dot at its end", where(obj), strings.TrimSpace(found)))
		}
	}
	return bad, nil
}

// address is a service's in arguments and configuration, $(NAMESPACE) replaced.
var address = regexp.MustCompile(`([a-z0-9-]+)\.([a-z0-9-]+)\.svc\.cluster\.local\.:([0-9]+)`)

// target is one address that is used.
type target struct{ by, service, namespace, port string }

// targets are the addresses in arguments and in ConfigMaps.
func targets(o overlay) []target {
	var all []target
	add := func(by, text string) {
		for _, m := range address.FindAllStringSubmatch(text, -1) {
			all = append(all, target{by, m[1], m[2], m[3]})
		}
	}
	for _, w := range o.workloads() {
		for _, c := range w.containers() {
			for _, a := range c.Args {
				add(w.String(), expand(a, w, c))
			}
		}
	}
	for _, obj := range o.objects {
		if c, ok := obj.Object.(*corev1.ConfigMap); ok {
			for _, text := range c.Data {
				add(where(obj), text)
			}
		}
	}
	return all
}

// expand does what the kubelet does with $(VARIABLE) in arguments, for the one variable
// that is used.
func expand(arg string, w workload, c corev1.Container) string {
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.namespace" {
			arg = strings.ReplaceAll(arg, "$("+e.Name+")", w.namespace)
		}
	}
	return arg
}

// addresses lead somewhere: to a service of the overlay, with that port, which a pod of
// the overlay has. A variable that nobody replaces is no address.
func addresses(_ law, o overlay) ([]string, error) {
	var bad []string
	services := of[*corev1.Service](o)
	for _, t := range targets(o) {
		i := slices.IndexFunc(services, func(s *corev1.Service) bool { return s.Name == t.service && s.Namespace == t.namespace })
		if i < 0 {
			bad = append(bad, fmt.Sprintf("%s: there is no service %s/%s", t.by, t.namespace, t.service))
			continue
		}
		if !slices.ContainsFunc(services[i].Spec.Ports, func(p corev1.ServicePort) bool { return fmt.Sprint(p.Port) == t.port }) {
			bad = append(bad, fmt.Sprintf("%s: service %s/%s has no port %s", t.by, t.namespace, t.service, t.port))
		}
	}
	for _, s := range services {
		for _, p := range s.Spec.Ports {
			if !slices.ContainsFunc(o.workloads(), func(w workload) bool { return serves(w, s, p.TargetPort.StrVal) }) {
				bad = append(bad, fmt.Sprintf("service %s/%s: no pod has its port %s", s.Namespace, s.Name, p.Name))
			}
		}
	}
	return append(bad, each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.containers() {
			for _, a := range c.Args {
				if strings.Contains(expand(a, w, c), "$(") {
					say("%s: nobody replaces the variable in %s", c.Name, a)
				}
			}
		}
	})...), nil
}

func serves(w workload, s *corev1.Service, port string) bool {
	if w.namespace != s.Namespace || w.ends() {
		return false
	}
	for k, v := range s.Spec.Selector {
		if w.template.Labels[k] != v {
			return false
		}
	}
	return slices.ContainsFunc(w.containers(), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port })
	})
}
