package signer_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/signer"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

// TestItMayDoNoMoreThanItDoes compares what the manifests let the signer do to certificates
// with what it does in its life: every right is used, and everything that is done is a
// right. What is judged for its name, sign and attest, the API server asks for by itself.
func TestItMayDoNoMoreThanItDoes(t *testing.T) {
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	r := request(t, "lockstep-cloud", "idp", "")
	if _, err := d.client.CertificatesV1().PodCertificateRequests(r.Namespace).Create(ctx, r, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	d.client.ClearActions()
	go func() { ended <- d.Run(ctx, func() { close(ready) }) }()
	<-ready
	done := map[string]bool{}
	for !done["update podcertificaterequests/status"] {
		time.Sleep(10 * time.Millisecond) // the test's own time limit ends it
		note(done, d)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// A bundle that somebody changed.
	bundles := d.client.CertificatesV1().ClusterTrustBundles()
	b, err := bundles.Get(t.Context(), signer.BundleName("lockstep-cloud"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Spec.TrustBundle = ""
	if _, err := bundles.Update(t.Context(), b, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	d.client.ClearActions()
	if err := d.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	note(done, d)
	may := rights(t)
	for what := range may {
		if !done[what] {
			t.Errorf("it may %s, and never does", what)
		}
	}
	for what := range done {
		if !may[what] {
			t.Errorf("it does %s, and may not: it may %v", what, slices.Sorted(maps.Keys(may)))
		}
	}
}

func note(done map[string]bool, d *desk) {
	for _, a := range d.client.Actions() {
		what := a.GetVerb() + " " + a.GetResource().Resource
		if a.GetSubresource() != "" {
			what += "/" + a.GetSubresource()
		}
		done[what] = true
	}
}

// rights are those of the manifests to certificates.
func rights(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "deploy", "base", "identity", "rbac.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	may := map[string]bool{}
	for docs := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text))); ; {
		doc := make([]byte, len(text))
		n, err := docs.Read(doc)
		if err == io.EOF {
			return may
		}
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal(doc[:n], &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					named(t, verb, resource, rule.ResourceNames)
					if resource != "signers" && resource != "events" {
						may[verb+" "+resource] = true
					}
				}
			}
		}
	}
}

// named judges for which names a right is: of all bundles of the cluster, those that the
// tables of the manifests want, and of all signers this one.
func named(t *testing.T, verb, resource string, names []string) {
	t.Helper()
	if strings.Contains(verb+resource, "*") {
		t.Errorf("the right to %s %s is without bound", verb, resource)
	}
	var want []string
	switch {
	case resource == "signers":
		want = []string{signer.Name}
	case resource == "clustertrustbundles" && verb != "create": // which comes without a name
		want = bundlesOfAllTables(t)
	}
	if !slices.Equal(names, want) {
		t.Errorf("it may %s %s %v, want %v", verb, resource, names, want)
	}
}

func bundlesOfAllTables(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, form := range []string{"base/identity/who/table.yaml", "overlays/*/table.yaml"} {
		found, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "deploy", filepath.FromSlash(form)))
		if err != nil || len(found) == 0 {
			t.Fatalf("no table at deploy/%s: %v", form, err)
		}
		for _, path := range found {
			tab, err := table.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, namespace := range tab.Order() {
				all = append(all, signer.BundleName(namespace))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
