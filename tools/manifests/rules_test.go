package main

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// broken is one thing that somebody could get wrong in an overlay.
type broken struct {
	// rule that must find it, and a part of what it then says.
	rule, says string
	overlay    string
	breaks     func(*overlay)
}

// pod changes the pods of one component, and its first container.
func pod(component string, f func(*corev1.PodSpec, *corev1.Container)) func(*overlay) {
	return func(o *overlay) {
		for _, w := range o.workloads() {
			if w.component() == component {
				f(&w.template.Spec, &w.template.Spec.Containers[0])
			}
		}
	}
}

// find changes one object by its type and name.
func find[T any](name string, f func(T)) func(*overlay) {
	return func(o *overlay) {
		for _, obj := range o.objects {
			v, ok := obj.Object.(T)
			if m, err := meta.Accessor(obj.Object); ok && err == nil && m.GetName() == name {
				f(v)
			}
		}
	}
}

// without takes objects away.
func without(kind, name string) func(*overlay) {
	return func(o *overlay) {
		o.objects = slices.DeleteFunc(o.objects, func(obj object) bool { return strings.HasSuffix(where(obj), kind+"/"+name) })
	}
}

// text adds text to what kustomize wrote.
func text(name, add string) func(*overlay) {
	return func(o *overlay) {
		for i, obj := range o.objects {
			if strings.HasSuffix(where(obj), name) {
				o.objects[i].YAML = append(slices.Clone(obj.YAML), add...)
			}
		}
	}
}

func arg(a string) func(*corev1.PodSpec, *corev1.Container) {
	return func(_ *corev1.PodSpec, c *corev1.Container) { c.Args = append(c.Args, a) }
}

func env(name, value string) func(*corev1.PodSpec, *corev1.Container) {
	return func(_ *corev1.PodSpec, c *corev1.Container) {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
}

func volume(v corev1.VolumeSource) func(*corev1.PodSpec, *corev1.Container) {
	return func(s *corev1.PodSpec, _ *corev1.Container) {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "more", VolumeSource: v})
	}
}

func projected(s corev1.VolumeProjection) func(*corev1.PodSpec, *corev1.Container) {
	return volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{s}}})
}

// bundle has a pod trust a bundle by its name, or by its signer and whose it is.
func bundle(name, signer, namespace string) func(*corev1.PodSpec, *corev1.Container) {
	b := &corev1.ClusterTrustBundleProjection{Path: "ca.pem"}
	if name != "" {
		b.Name = &name
	} else {
		b.SignerName, b.LabelSelector = &signer, &metav1.LabelSelector{MatchLabels: map[string]string{trustedBy: namespace}}
	}
	return projected(corev1.VolumeProjection{ClusterTrustBundle: b})
}

func on() *bool { yes := true; return &yes }

// breaks are the ways to get it wrong; every rule has one at least.
func breaks() []broken {
	return append(podBreaks(), append(networkBreaks(), nameBreaks()...)...)
}

func podBreaks() []broken {
	return []broken{
		{"pod-security", "allowPrivilegeEscalation", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = on() })},
		{"pod-security", "hostPath", "demo", pod("tpm-agent", volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/dev/tpmrm0"}}))},
		{"pod-security", "seccompProfile", "demo", pod("idp", func(s *corev1.PodSpec, _ *corev1.Container) { s.SecurityContext.SeccompProfile = nil })},
		{"namespaces", "at a version of its own", "demo", find("lockstep-cloud", func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce-version"] = "latest" })},
		{"namespaces", "not part of the overlay", "demo", without("Namespace", "lockstep-player")},
		{"images", "has no version", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Image = "lockstep/idp:latest" })},
		{"images", "has no version", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Image = "localhost:5000/lockstep/idp" })},
		{"images", "imagePullPolicy", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.ImagePullPolicy = corev1.PullAlways })},
		{"resources", "set requests", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { delete(c.Resources.Requests, corev1.ResourceMemory) })},
		{"probes", "idp has no liveness", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.LivenessProbe = nil })},
		{"probes", "spool has no readiness", "demo", pod("tpm-agent", func(s *corev1.PodSpec, _ *corev1.Container) { s.InitContainers[1].ReadinessProbe = &corev1.Probe{} })},
		{"tokens", "must be false", "demo", pod("idp", func(s *corev1.PodSpec, _ *corev1.Container) { s.AutomountServiceAccountToken = on() })},
		{"tokens", "has a token", "demo", pod("idp", volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}}}}))},
		{"tokens", "by itself", "demo", find("idp", func(a *corev1.ServiceAccount) { a.AutomountServiceAccountToken = nil })},
		{"accounts", `runs as "adfs"`, "demo", pod("idp", func(s *corev1.PodSpec, _ *corev1.Container) { s.ServiceAccountName = "adfs" })},
		{"accounts", "not part of the overlay", "demo", without("ServiceAccount", "idp")},
		{"closed", "can write to its root", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.ReadOnlyRootFilesystem = nil })},
		{"closed", "no shell", "demo", pod("tpm-agent", func(_ *corev1.PodSpec, c *corev1.Container) { c.Command = []string{"/bin/sh", "-c"} })},
		{"closed", "no shell", "demo", pod("tpm-agent", arg("/bin/busybox"))},
		{"closed", "starts a program", "demo", pod("tpm-agent", func(_ *corev1.PodSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{}}}
		})},
		{"closed", "shares processes", "demo", pod("tpm-agent", func(s *corev1.PodSpec, _ *corev1.Container) { s.ShareProcessNamespace = on() })},
		{"closed", "ephemeral", "demo", pod("tpm-agent", func(s *corev1.PodSpec, _ *corev1.Container) {
			s.EphemeralContainers = make([]corev1.EphemeralContainer, 1)
		})},
		{"closed", "terminal", "demo", pod("tpm-agent", func(_ *corev1.PodSpec, c *corev1.Container) { c.TTY = true })},
		{"closed", "as numbers", "demo", pod("idp", func(s *corev1.PodSpec, _ *corev1.Container) { s.SecurityContext.RunAsUser = nil })},
		{"closed", "enableServiceLinks", "demo", pod("idp", func(s *corev1.PodSpec, _ *corev1.Container) { s.EnableServiceLinks = nil })},
		{"volumes", "no sizeLimit", "demo", pod("idp", volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}))},
		{"volumes", "shares the claim", "two-devices", func(o *overlay) {
			pod("tpm-agent", volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"}}))(o)
			pod("dsreg", volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"}}))(o)
		}},
		{"volumes", "not used here", "demo", pod("idp", volume(corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}))},
		{"volumes", "mounted by others", "demo", find("idp", func(s *appsv1.StatefulSet) {
			s.Spec.VolumeClaimTemplates[0].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
		})},
		{"secrets", "in the environment", "demo", pod("idp", env("DATABASE_PASSWORD", "hunter2"))},
		{"secrets", "not a field of the pod", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) {
			c.Env = append(c.Env, corev1.EnvVar{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{}}})
		})},
		{"secrets", "from an object", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.EnvFrom = make([]corev1.EnvFromSource, 1) })},
		{"secrets", "in an argument", "demo", pod("idp", arg("--set=password=hunter2"))},
		{"secrets", "holds values", "demo", func(o *overlay) {
			o.objects = append(o.objects, object{Object: &corev1.Secret{StringData: map[string]string{"dsn": "x"}}})
		}},
		{"secrets", "a key or a password", "demo", text("ConfigMap/deployment", "# postgres://idp:hunter2@postgres/idp\n")},
		{"identities", "mounts the identity of idp", "demo", pod("adfs", volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "identity-idp"}}))},
		{"identities", "mounts the identity of tpm-agent", "bootstrap-secrets", pod("dsreg", projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "identity-tpm-agent"}}}))},
		{"identities", "mounts the identity of operator", "bootstrap-secrets", pod("dsreg", volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "identity-operator"}}))},
		{"identities", "mounts the Secret idp-database", "idp-replicas", pod("adfs", volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "idp-database"}}))},
		{"identities", "trusts another bundle", "two-devices", pod("dsreg", bundle("", identitySigner, "lockstep-player"))},
		{"identities", "trusts another bundle", "two-devices", pod("dsreg", bundle("", "other.test/signer", "lockstep-device-1"))},
		{"identities", "trusts another bundle", "demo", pod("dsreg", bundle("lockstep.dev:component:lockstep-device-1", "", ""))},
		{"identities", "does not give it", "demo", pod("idp", projected(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: identitySigner, UserAnnotations: map[string]string{actorAnnotation: "operator"}}}))},
		{"identities", "does not give it", "demo", pod("idp", projected(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "other.test/signer"}}))},
		{"places", "does not say where it runs", "two-devices", pod("dsreg", func(_ *corev1.PodSpec, c *corev1.Container) { c.Env = nil })},
		{"places", "does not say where it runs", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { slices.Reverse(c.Env) })},
		{"places", "does not say where it runs", "faulty-idp", pod("faulty-idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Env[2].Value = "service.instance.id=one" })},
		{"shutdown", "needs 7s", "demo", pod("idp", func(s *corev1.PodSpec, _ *corev1.Container) { s.TerminationGracePeriodSeconds = new(int64) })},
		{"shutdown", "preStop", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Lifecycle = nil })},
		{"replicas", "no PodDisruptionBudget", "demo", find("adfs", func(s *appsv1.StatefulSet) { *s.Spec.Replicas = 2 })},
	}
}

func networkBreaks() []broken {
	shut := func(p *networkingv1.NetworkPolicy) { p.Spec.PolicyTypes = p.Spec.PolicyTypes[:1] }
	return []broken{
		{"default-deny", "lockstep-observe has no policy", "demo", func(o *overlay) {
			for _, p := range of[*networkingv1.NetworkPolicy](*o) {
				if p.Name == "default-deny" && p.Namespace == "lockstep-observe" {
					shut(p)
				}
			}
		}},
		{"tpm-agent", "lets the tpm-agent out", "demo", func(o *overlay) {
			for _, p := range of[*networkingv1.NetworkPolicy](*o) {
				if p.Name == "to-dns" {
					p.Spec.PodSelector.MatchExpressions = nil
				}
			}
		}},
		{"tpm-agent", "no policy shuts", "demo", without("NetworkPolicy", "default-deny")},
		{"call-graph", "lockstep-device-1/dsreg -> lockstep-device-1/tpm-agent:9443 is an edge of the call graph and not permitted", "demo", without("NetworkPolicy", "dsreg-to-tpm-agent")},
		{"call-graph", "lockstep-device-1/dsreg -> lockstep-device-1/tpm-agent:9443 is an edge of the call graph and not permitted", "demo", without("NetworkPolicy", "tpm-agent-from-dsreg")},
		{"call-graph", "lockstep-player/player -> lockstep-device-1/tpm-agent:8081 is permitted", "demo", func(o *overlay) {
			open := func(p *networkingv1.NetworkPolicy) {
				for i := range p.Spec.Egress {
					p.Spec.Egress[i].Ports = nil
				}
				for i := range p.Spec.Ingress {
					p.Spec.Ingress[i].Ports = nil
				}
			}
			find("player-to-tpm-agent", open)(o)
			find("tpm-agent-from-player", open)(o)
		}},
		{"call-graph", "lockstep-device-2/dsreg -> lockstep-device-1/tpm-agent:9443 is permitted", "two-devices", func(o *overlay) {
			anywhere := func(p *networkingv1.NetworkPolicy) {
				for i := range p.Spec.Egress {
					p.Spec.Egress[i].To = nil
				}
				for i := range p.Spec.Ingress {
					p.Spec.Ingress[i].From = nil
				}
			}
			find("dsreg-to-tpm-agent", anywhere)(o)
			find("tpm-agent-from-dsreg", anywhere)(o)
		}},
		// Callers that still reach the real one would pass a stand-in by.
		{"call-graph", "lockstep-device-1/dsreg -> lockstep-device-1/tpm-agent:9443 is permitted", "faulty-tpm-agent", func(o *overlay) {
			name := func(p *networkingv1.NetworkPolicy) { p.Spec.PodSelector.MatchLabels[nameLabel] = "tpm-agent" }
			find("tpm-agent-from-dsreg", name)(o)
			find("dsreg-to-tpm-agent", func(p *networkingv1.NetworkPolicy) {
				p.Spec.Egress[0].To[0].PodSelector.MatchLabels[nameLabel] = "tpm-agent"
			})(o)
		}},
		{"peers", "not named by labels", "demo", find("collector-from-components", func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress[0].From[0].PodSelector = nil })},
		{"peers", "not named by labels", "demo", find("idp-from-player", func(p *networkingv1.NetworkPolicy) {
			p.Spec.Ingress[0].From[0] = networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: "::/0"}}
		})},
		{"peers", "anybody may come in", "demo", find("idp-from-player", func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress[0].From = nil })},
		{"peers", "leads anywhere", "demo", find("player-to-idp", func(p *networkingv1.NetworkPolicy) { p.Spec.Egress[0].To = nil })},
		{"stand-ins", "does not have --lab", "faulty-idp", pod("dsreg", func(_ *corev1.PodSpec, c *corev1.Container) {
			c.Args = slices.DeleteFunc(slices.Clone(c.Args), func(a string) bool { return a == "--lab" })
		})},
		{"stand-ins", "without --lab", "faulty-idp", pod("faulty-idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Args = c.Args[1:] })},
		{"stand-ins", "belong together", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Image = "lockstep/faulty:dev" })},
	}
}

func nameBreaks() []broken {
	return []broken{
		{"names", "with a dot at its end", "demo", text("ConfigMap/deployment", "#x.svc.cluster.local:9443\n")},
		{"names", "with a dot at its end", "demo", text("ConfigMap/deployment", "# jaeger.lockstep-observe.svc\n")},
		{"addresses", "there is no service lockstep-cloud/sts", "demo", pod("idp", arg("--peer=adfs=tcp:sts.lockstep-cloud.svc.cluster.local.:9443"))},
		{"addresses", "has no port 9444", "demo", pod("idp", arg("--peer=adfs=tcp:adfs.lockstep-cloud.svc.cluster.local.:9444"))},
		{"addresses", "no pod has its port", "demo", find("idp", func(s *corev1.Service) { s.Spec.Selector[nameLabel] = "other" })},
		{"addresses", "nobody replaces", "demo", pod("idp", arg("--state=$(HOME)"))},
		{"flags", "no flag --listn", "demo", pod("idp", arg("--listn=tcp:0.0.0.0:1"))},
		{"flags", "no setting tennants", "demo", pod("idp", arg("--set=tennants=/a"))},
		{"flags", "no command srve", "demo", pod("tpm-agent", func(s *corev1.PodSpec, _ *corev1.Container) { s.InitContainers[0].Args[0] = "srve" })},
		{"flags", "nothing is written down", "demo", pod("idp", func(_ *corev1.PodSpec, c *corev1.Container) { c.Image = "lockstep/new:dev" })},
	}
}

// Each way to get it wrong is found by its rule, and the same overlay without it is not.
func TestRulesCanFail(t *testing.T) {
	tried := map[string]bool{}
	for _, b := range breaks() {
		findsBreak(t, b)
		tried[b.rule] = true
	}
	for name := range rules() {
		if !tried[name] {
			t.Errorf("nothing shows that the rule %s can fail", name)
		}
	}
}

// findsBreak breaks an overlay and expects its rule to say so.
func findsBreak(t *testing.T, b broken) {
	t.Helper()
	l := theLaws(t)
	i := slices.IndexFunc(every(t), func(o overlay) bool { return o.name == b.overlay })
	o := overlay{name: b.overlay}
	for _, obj := range every(t)[i].objects {
		o.objects = append(o.objects, object{Kind: obj.Kind, YAML: obj.YAML, Object: obj.DeepCopyObject()})
	}
	if bad, err := rules()[b.rule](l, o); err != nil || len(bad) > 0 {
		t.Fatalf("%s before it is broken: %q, %v", b.rule, bad, err)
	}
	b.breaks(&o)
	bad, err := rules()[b.rule](l, o)
	if err != nil || !slices.ContainsFunc(bad, func(line string) bool { return strings.Contains(line, b.says) }) {
		t.Errorf("%s finds %q, %v, and not %q", b.rule, bad, err, b.says)
	}
}

// held is a threat that rules stand against: every overlay holds them, and each finds what
// breaks it.
func held(t *testing.T, names ...string) {
	t.Helper()
	l := theLaws(t)
	for _, name := range names {
		for _, o := range every(t) {
			if bad, err := rules()[name](l, o); err != nil || len(bad) > 0 {
				t.Errorf("overlay %s, rule %s: %q, %v", o.name, name, bad, err)
			}
		}
		found := 0
		for _, b := range breaks() {
			if b.rule == name {
				findsBreak(t, b)
				found++
			}
		}
		if found == 0 {
			t.Errorf("nothing breaks the rule %s", name)
		}
	}
}

// T4: nothing to run a program with in a pod, no token, no volume of the node or of
// another pod. What a cluster admits is judged in a cluster.
func TestT4_ManifestsLeaveNoWayIntoAPod(t *testing.T) {
	held(t, "pod-security", "namespaces", "closed", "volumes", "tokens", "identities")
}

// T5: no way out for the tpm-agent, and everywhere else the call graph and no more. What
// a cluster enforces, verify-netpol tries.
func TestT5_PoliciesAreTheCallGraph(t *testing.T) {
	held(t, "default-deny", "tpm-agent", "call-graph", "peers")
}

// T6: no secret in environment, arguments or objects. What etcd holds is judged in a
// cluster.
func TestT6_ManifestsHoldNoSecret(t *testing.T) { held(t, "secrets") }

// T10: stand-ins are in laboratories alone.
func TestT10_StandInsAreInLaboratories(t *testing.T) { held(t, "stand-ins") }
