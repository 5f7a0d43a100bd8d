package signer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	k8stesting "k8s.io/client-go/testing"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/signer"
)

// TestBundlesAreWhatTheTableSays also changes one and removes one.
func TestBundlesAreWhatTheTableSays(t *testing.T) {
	d := newDesk(t)
	bundles := d.client.CertificatesV1().ClusterTrustBundles()
	whole := func() {
		t.Helper()
		if err := d.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		for namespace, trusts := range map[string][]string{
			"lockstep-device-1": {"lockstep-device-1", "lockstep-cloud", "lockstep-player"},
			"lockstep-device-2": {"lockstep-device-2", "lockstep-cloud", "lockstep-player"},
		} {
			got, err := bundles.Get(t.Context(), "lockstep.dev:component:"+namespace, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Spec.SignerName != signer.Name || got.Spec.TrustBundle != string(d.set.Bundle(trusts)) || strings.Count(got.Spec.TrustBundle, "BEGIN") != 3 {
				t.Errorf("%s: %+v", namespace, got.Spec)
			}
			if got.Labels[signer.TrustedBy] != namespace {
				t.Errorf("%s: pods do not find it by %v", namespace, got.Labels)
			}
		}
	}
	whole()
	changed, err := bundles.Get(t.Context(), signer.BundleName("lockstep-device-1"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed.Spec.TrustBundle = string(d.set.Of("lockstep-device-2").PEM())
	if _, err := bundles.Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := bundles.Delete(t.Context(), signer.BundleName("lockstep-device-2"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	whole()
	// One of a signer that knew no labels.
	if changed, err = bundles.Get(t.Context(), signer.BundleName("lockstep-device-1"), metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	changed.Labels = nil
	if _, err := bundles.Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	whole()
	before := len(d.client.Actions())
	whole()
	for _, a := range d.client.Actions()[before:] {
		if a.GetVerb() != "get" {
			t.Errorf("what is right is written again: %s", a.GetVerb())
		}
	}
}

// TestRunAnswersWhatComes: a request that is there, one that comes, and one whose first
// answer the API server refuses.
func TestRunAnswersWhatComes(t *testing.T) {
	d := newDesk(t)
	d.client.PrependWatchReactor("podcertificaterequests", func(a k8stesting.Action) (bool, watch.Interface, error) {
		if got := a.(k8stesting.WatchAction).GetWatchRestrictions().Fields.String(); got != "spec.signerName="+signer.Name {
			t.Errorf("all requests of the cluster are watched: %q", got)
		}
		return false, nil, nil
	})
	conflicts := 1
	d.client.PrependReactor("update", "podcertificaterequests", func(a k8stesting.Action) (bool, runtime.Object, error) {
		if conflicts == 0 {
			return false, nil, nil
		}
		conflicts--
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "podcertificaterequests"}, "req-1", nil)
	})
	api := d.client.CertificatesV1().PodCertificateRequests("lockstep-cloud")
	first, second := request(t, "lockstep-cloud", "idp", ""), request(t, "lockstep-cloud", "adfs", "")
	second.Name = "req-2"
	create := func(r *certv1.PodCertificateRequest) {
		if _, err := api.Create(t.Context(), r, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create(first)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.Run(ctx, func() { close(ready) }) }()
	<-ready
	create(second)
	for _, name := range []string{first.Name, second.Name} {
		for {
			got, err := api.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Status.Conditions) == 1 {
				break
			}
			time.Sleep(10 * time.Millisecond) // the test's own time limit ends it
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
