package bootstrap_test

import (
	"crypto/tls"
	"log/slog"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/bootstrap"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

// cluster is one without pod certificates.
type cluster struct {
	t   *testing.T
	cfg bootstrap.Config
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	tab, err := table.Load("../../testdata/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, cfg: bootstrap.Config{Client: fake.NewClientset(), Table: tab, Life: 30 * 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Now: time.Now()}}
	c.authorities(t.TempDir())
	return c
}

func (c *cluster) authorities(dir string) {
	c.t.Helper()
	var err error
	if c.cfg.Authorities, err = authority.Open(dir, c.cfg.Table.Order(), c.cfg.Now); err != nil {
		c.t.Fatal(err)
	}
}

// run returns all Secrets by namespace/name.
func (c *cluster) run() map[string]corev1.Secret {
	c.t.Helper()
	if err := bootstrap.Run(c.t.Context(), c.cfg); err != nil {
		c.t.Fatal(err)
	}
	list, err := c.cfg.Client.CoreV1().Secrets("").List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]corev1.Secret{}
	for _, s := range list.Items {
		all[s.Namespace+"/"+s.Name] = s
	}
	return all
}

// key is what tells one issue of an identity from the next.
func key(s corev1.Secret) string { return string(s.Data["key.pem"]) }

func TestSecretsForAllWhoAreInTheTable(t *testing.T) {
	c := newCluster(t)
	all := c.run()
	if len(all) != 2+6+6+7 {
		t.Errorf("%d Secrets", len(all))
	}
	for at, name := range map[string]string{"lockstep-cloud/identity-idp": "idp", "lockstep-device-1/identity-observer": "observer", "lockstep-player/identity-operator": "operator"} {
		s := all[at]
		pair, err := tls.X509KeyPair(s.Data["cert.pem"], s.Data["key.pem"])
		if err != nil || pair.Leaf.URIs[0].String() != "spiffe://lockstep/"+name || !c.cfg.Authorities.Of(s.Namespace).Made(pair.Leaf) {
			t.Errorf("%s: %v", at, err)
		}
		if string(s.Data["ca.pem"]) != string(c.cfg.Authorities.Bundle(c.cfg.Table.Namespaces[s.Namespace].Trusts)) || len(s.Data) != 3 {
			t.Errorf("%s: another bundle", at)
		}
	}
}

// TestOnlyWhatIsStaleIsWritten: a second run changes nothing, and each kind of damage
// changes the one Secret that has it.
func TestOnlyWhatIsStaleIsWritten(t *testing.T) {
	const at = "lockstep-cloud/identity-idp"
	for name, c := range map[string]struct {
		harm   func(*cluster, *corev1.Secret)
		anew   bool
		others bool
	}{
		"nothing":           {func(*cluster, *corev1.Secret) {}, false, false},
		"no key":            {func(_ *cluster, s *corev1.Secret) { delete(s.Data, "key.pem") }, true, false},
		"damage":            {func(_ *cluster, s *corev1.Secret) { s.Data["cert.pem"] = []byte("x") }, true, false},
		"another bundle":    {func(_ *cluster, s *corev1.Secret) { s.Data["ca.pem"] = []byte("x") }, false, false},
		"it ends soon":      {func(c *cluster, _ *corev1.Secret) { c.cfg.Now = c.cfg.Now.Add(21 * 24 * time.Hour) }, true, true},
		"it ends late":      {func(c *cluster, _ *corev1.Secret) { c.cfg.Now = c.cfg.Now.Add(19 * 24 * time.Hour) }, false, false},
		"other authorities": {func(c *cluster, _ *corev1.Secret) { c.authorities(c.t.TempDir()) }, true, true},
		"another's": {func(c *cluster, s *corev1.Secret) {
			other, err := c.cfg.Client.CoreV1().Secrets("lockstep-cloud").Get(c.t.Context(), "identity-adfs", metav1.GetOptions{})
			if err != nil {
				c.t.Fatal(err)
			}
			s.Data = other.Data
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			k := newCluster(t)
			before := k.run()
			harmed := before[at]
			s := harmed.DeepCopy()
			c.harm(k, s)
			if _, err := k.cfg.Client.CoreV1().Secrets(s.Namespace).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			after := k.run()
			for where := range before {
				want := where == at && c.anew || where != at && c.others
				if (key(before[where]) != key(after[where])) != want {
					t.Errorf("%s: anew is %v", where, !want)
				}
			}
			if string(after[at].Data["ca.pem"]) != string(k.cfg.Authorities.Bundle(k.cfg.Table.Namespaces["lockstep-cloud"].Trusts)) {
				t.Error("the bundle is another")
			}
			again := k.run()
			for where := range after {
				if again[where].ResourceVersion != after[where].ResourceVersion || key(again[where]) != key(after[where]) {
					t.Errorf("%s is written again", where)
				}
			}
		})
	}
}
