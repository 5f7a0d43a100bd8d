package signer

import (
	"context"
	"fmt"
	"maps"
	"strings"

	certv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BundleName is the name of the ClusterTrustBundle with whom a namespace trusts. The API
// server wants the signer's name before it, with colons for slashes.
func BundleName(namespace string) string {
	return strings.ReplaceAll(Name, "/", ":") + ":" + namespace
}

// TrustedBy is the label of a bundle with the namespace whose it is. Pods find it by this
// and the signer's name: a kubelet keeps what it knows of a bundle by name for five minutes,
// and drops what it knows by signer when one of the signer's bundles changes.
const TrustedBy = "lockstep.dev/trusted-by"

// Publish makes the bundles what the table says. It is called again and again: a bundle
// that somebody changed or removed is whole again at the next call.
func (s *Signer) Publish(ctx context.Context) error {
	for _, namespace := range s.cfg.Table.Order() {
		pem := string(s.cfg.Authorities.Bundle(s.cfg.Table.Namespaces[namespace].Trusts))
		if err := s.publish(ctx, namespace, pem); err != nil {
			return fmt.Errorf("trust bundle of %s: %w", namespace, err)
		}
	}
	return nil
}

func (s *Signer) publish(ctx context.Context, namespace, pem string) error {
	bundles, name := s.cfg.Client.CertificatesV1().ClusterTrustBundles(), BundleName(namespace)
	labels := map[string]string{"app.kubernetes.io/part-of": "lockstep", TrustedBy: namespace}
	old, err := bundles.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = bundles.Create(ctx, &certv1.ClusterTrustBundle{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
			Spec:       certv1.ClusterTrustBundleSpec{SignerName: Name, TrustBundle: pem},
		}, metav1.CreateOptions{})
	case err != nil || old.Spec.TrustBundle == pem && maps.Equal(old.Labels, labels):
		return err
	default:
		old.Spec.TrustBundle, old.Labels = pem, labels
		_, err = bundles.Update(ctx, old, metav1.UpdateOptions{})
	}
	if err == nil {
		s.cfg.Log.Info("trust bundle", "name", name)
	}
	return err
}
