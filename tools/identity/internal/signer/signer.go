// Package signer answers the PodCertificateRequests of one signer name, and publishes
// whom each namespace trusts as ClusterTrustBundles.
//
// It decides by the table alone: a request of a ServiceAccount that is not there, or
// that asks for a name it may not have, is denied with the reason, in the request and as
// an event of the pod. That a request tells the truth about pod and ServiceAccount is
// the API server's part: its NodeRestriction admission takes requests of a kubelet only
// for pods on that node, with their own ServiceAccount. The caller is the command sign.
package signer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

const (
	// Name is the signer's name in a pod's volume.
	Name = "lockstep.dev/component"
	// ActorAnnotation is the one annotation that is understood: which of its account's
	// actors the pod wants to be.
	ActorAnnotation = "lockstep.dev/actor"
	// maxLife bounds a certificate, whatever the pod asks for.
	maxLife = 24 * time.Hour
)

// Config is what a signer needs; all of it.
type Config struct {
	Client      kubernetes.Interface
	Table       *table.Table
	Authorities *authority.Set
	// Events gets one event for each request that is denied.
	Events record.EventRecorder
	Log    *slog.Logger
	// Now is the time.
	Now func() time.Time
}

// Signer signs.
type Signer struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Signer, error) {
	if cfg.Client == nil || cfg.Table == nil || cfg.Authorities == nil || cfg.Events == nil || cfg.Log == nil || cfg.Now == nil {
		return nil, errors.New("signer: a part of the configuration is missing")
	}
	return &Signer{cfg: cfg}, nil
}

// denial is a decision, unlike an error that may be gone at the next try.
type denial struct{ reason, message string }

func (d *denial) Error() string { return d.message }

func deny(reason, format string, args ...any) error {
	return &denial{reason: reason, message: fmt.Sprintf(format, args...)}
}

// Answer decides about one request. An error means that it should be tried again; a
// request that was answered before is left alone.
func (s *Signer) Answer(ctx context.Context, r *certv1.PodCertificateRequest) error {
	if r.Spec.SignerName != Name || len(r.Status.Conditions) > 0 {
		return nil
	}
	now := s.cfg.Now()
	answer := r.DeepCopy()
	condition := metav1.Condition{Type: certv1.PodCertificateRequestConditionTypeIssued, Status: metav1.ConditionTrue, Reason: "Issued", LastTransitionTime: metav1.NewTime(now)}
	name, issued, err := s.decide(r, now)
	var denied *denial
	switch {
	case errors.As(err, &denied):
		condition.Type, condition.Reason, condition.Message = certv1.PodCertificateRequestConditionTypeDenied, denied.reason, denied.message
	case err != nil:
		condition.Type, condition.Reason, condition.Message = certv1.PodCertificateRequestConditionTypeFailed, "NotIssued", err.Error()
	default:
		fill(&answer.Status, issued)
		condition.Message = "issued for " + name
	}
	answer.Status.Conditions = []metav1.Condition{condition}
	_, err = s.cfg.Client.CertificatesV1().PodCertificateRequests(r.Namespace).UpdateStatus(ctx, answer, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil // the kubelet gave up on it
	}
	if err != nil {
		return fmt.Errorf("answer %s/%s: %w", r.Namespace, r.Name, err)
	}
	s.tell(r, condition)
	return nil
}

// decide finds the name that the request is about and issues its certificate.
func (s *Signer) decide(r *certv1.PodCertificateRequest, now time.Time) (string, *authority.Issued, error) {
	name, err := s.name(r)
	if err != nil {
		return "", nil, err
	}
	csr, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil || csr.CheckSignature() != nil {
		return "", nil, deny("InvalidRequest", "the certificate request does not hold its key's signature")
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return "", nil, deny(certv1.PodCertificateRequestConditionUnsupportedKeyType, "ECDSAP256")
	}
	life := maxLife
	if most := r.Spec.MaxExpirationSeconds; most != nil {
		life = min(life, time.Duration(*most)*time.Second)
	}
	issued, err := s.cfg.Authorities.Of(r.Namespace).Issue(name, key, now, life)
	return name, issued, err
}

// name is the component that the pod may be, by its namespace, its ServiceAccount and
// the actor that it asks for.
func (s *Signer) name(r *certv1.PodCertificateRequest) (string, error) {
	for key := range r.Spec.UnverifiedUserAnnotations {
		if key != ActorAnnotation {
			return "", deny(certv1.PodCertificateRequestConditionInvalidUserConfig, "the annotation %.100q is not known: only %s is", key, ActorAnnotation)
		}
	}
	account, ok := s.cfg.Table.Namespaces[r.Namespace].Accounts[r.Spec.ServiceAccountName]
	if !ok {
		return "", deny("NotInTable", "ServiceAccount %s/%s is not in the table of identities", r.Namespace, r.Spec.ServiceAccountName)
	}
	actor, asked := r.Spec.UnverifiedUserAnnotations[ActorAnnotation]
	switch {
	case asked && !slices.Contains(account.Actors, actor):
		return "", deny("ActorNotAllowed", "ServiceAccount %s/%s may not be %.63q", r.Namespace, r.Spec.ServiceAccountName, actor)
	case asked:
		return actor, nil
	case account.Name == "":
		return "", deny("ActorMissing", "ServiceAccount %s/%s is one of %s: ask by the annotation %s", r.Namespace, r.Spec.ServiceAccountName, strings.Join(account.Actors, ", "), ActorAnnotation)
	}
	return account.Name, nil
}

// fill writes what the API server checks against the certificate. The kubelet asks again
// after half of its life.
func fill(status *certv1.PodCertificateRequestStatus, issued *authority.Issued) {
	from, to := metav1.NewTime(issued.Leaf.NotBefore), metav1.NewTime(issued.Leaf.NotAfter)
	again := metav1.NewTime(from.Add(to.Sub(from.Time) / 2))
	status.CertificateChain = string(issued.PEM)
	status.NotBefore, status.NotAfter, status.BeginRefreshAt = &from, &to, &again
}

// tell writes the log and, for what was not issued, an event at the pod, where people
// look who wonder why it does not start.
func (s *Signer) tell(r *certv1.PodCertificateRequest, c metav1.Condition) {
	s.cfg.Log.Info("certificate request", "namespace", r.Namespace, "request", r.Name, "pod", r.Spec.PodName, "account", r.Spec.ServiceAccountName, "answer", c.Type, "reason", c.Reason, "message", c.Message)
	if c.Type == certv1.PodCertificateRequestConditionTypeIssued {
		return
	}
	pod := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: r.Namespace, Name: r.Spec.PodName, UID: r.Spec.PodUID}
	s.cfg.Events.Event(pod, corev1.EventTypeWarning, "Identity"+c.Type, c.Reason+": "+c.Message)
}
