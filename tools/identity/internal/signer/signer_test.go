package signer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/signer"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

// desk is a signer in front of a cluster that is not there.
type desk struct {
	t      *testing.T
	client *fake.Clientset
	events *record.FakeRecorder
	set    *authority.Set
	*signer.Signer
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	tab, err := table.Load("../../testdata/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := authority.Open(t.TempDir(), tab.Order(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, client: fake.NewClientset(), events: record.NewFakeRecorder(10), set: set}
	d.Signer, err = signer.New(signer.Config{Client: d.client, Table: tab, Authorities: set, Events: d.events, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func csr(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func p256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// request is what the kubelet of a node asks for a pod.
func request(t *testing.T, namespace, account, actor string) *certv1.PodCertificateRequest {
	t.Helper()
	day := int32(86400)
	r := &certv1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "req-1"},
		Spec:       certv1.PodCertificateRequestSpec{SignerName: signer.Name, PodName: "pod-1", PodUID: "u", ServiceAccountName: account, MaxExpirationSeconds: &day, StubPKCS10Request: csr(t, p256(t))},
	}
	if actor != "" {
		r.Spec.UnverifiedUserAnnotations = map[string]string{signer.ActorAnnotation: actor}
	}
	return r
}

// ask hands a request in and returns what the cluster then has of it.
func (d *desk) ask(r *certv1.PodCertificateRequest) certv1.PodCertificateRequestStatus {
	d.t.Helper()
	api := d.client.CertificatesV1().PodCertificateRequests(r.Namespace)
	if _, err := api.Create(d.t.Context(), r, metav1.CreateOptions{}); err != nil {
		d.t.Fatal(err)
	}
	if err := d.Answer(d.t.Context(), r); err != nil {
		d.t.Fatal(err)
	}
	got, err := api.Get(d.t.Context(), r.Name, metav1.GetOptions{})
	if err != nil {
		d.t.Fatal(err)
	}
	return got.Status
}

func (d *desk) event() string {
	select {
	case e := <-d.events.Events:
		return e
	default:
		return ""
	}
}

func TestWhoIsInTheTableGetsItsName(t *testing.T) {
	for _, c := range []struct{ namespace, account, actor, name string }{
		{"lockstep-cloud", "idp", "", "idp"},
		{"lockstep-device-2", "telemetry", "", "observer"},
		{"lockstep-player", "player", "operator", "operator"},
		{"lockstep-player", "player", "logonui", "logonui"},
	} {
		d := newDesk(t)
		r := request(t, c.namespace, c.account, c.actor)
		got := d.ask(r)
		if len(got.Conditions) != 1 || got.Conditions[0].Type != certv1.PodCertificateRequestConditionTypeIssued || got.Conditions[0].Status != metav1.ConditionTrue {
			t.Fatalf("%+v: %+v", c, got.Conditions)
		}
		block, rest := pem.Decode([]byte(got.CertificateChain))
		if block == nil || len(rest) > 0 {
			t.Fatalf("%+v: chain %q", c, got.CertificateChain)
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil || leaf.URIs[0].String() != "spiffe://lockstep/"+c.name || !d.set.Of(c.namespace).Made(leaf) {
			t.Errorf("%+v: %v, %v", c, leaf.URIs, err)
		}
		asServerChecks(t, r, got, leaf)
		if e := d.event(); e != "" {
			t.Errorf("%+v: event %s", c, e)
		}
	}
}

// asServerChecks is what the API server demands of an issued request (Kubernetes,
// pkg/apis/certificates/validation, ValidatePodCertificateRequestStatusUpdate).
func asServerChecks(t *testing.T, r *certv1.PodCertificateRequest, got certv1.PodCertificateRequestStatus, leaf *x509.Certificate) {
	t.Helper()
	asked, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil || !asked.PublicKey.(*ecdsa.PublicKey).Equal(leaf.PublicKey) {
		t.Errorf("another key, %v", err)
	}
	if !got.NotBefore.Time.Equal(leaf.NotBefore) || !got.NotAfter.Time.Equal(leaf.NotAfter) || time.Since(leaf.NotBefore) > 5*time.Minute {
		t.Errorf("times %v and %v", got.NotBefore, got.NotAfter)
	}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if life < time.Hour || life > time.Duration(*r.Spec.MaxExpirationSeconds)*time.Second {
		t.Errorf("life %v", life)
	}
	if got.BeginRefreshAt.Sub(leaf.NotBefore) < 10*time.Minute || leaf.NotAfter.Sub(got.BeginRefreshAt.Time) < 10*time.Minute {
		t.Errorf("refresh at %v", got.BeginRefreshAt)
	}
	if c := got.Conditions[0]; c.Reason == "" || c.LastTransitionTime.IsZero() {
		t.Errorf("condition %+v", c)
	}
}

func TestLifeIsBounded(t *testing.T) {
	for asked, want := range map[int32]time.Duration{3600: time.Hour, 86400: 24 * time.Hour, 7862400: 24 * time.Hour} {
		d := newDesk(t)
		r := request(t, "lockstep-cloud", "idp", "")
		r.Spec.MaxExpirationSeconds = &asked
		if got := d.ask(r); got.NotAfter.Sub(got.NotBefore.Time) != want {
			t.Errorf("%d s asked, %v given", asked, got.NotAfter.Sub(got.NotBefore.Time))
		}
	}
}

// TestT1_WhoIsNotInTheTableHasNoName: the reason is in the request and an event at the pod.
func TestT1_WhoIsNotInTheTableHasNoName(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*certv1.PodCertificateRequest)
		reason string
	}{
		"unknown account":          {func(r *certv1.PodCertificateRequest) { r.Spec.ServiceAccountName = "default" }, "NotInTable"},
		"account of another place": {func(r *certv1.PodCertificateRequest) { r.Spec.ServiceAccountName = "tpm-agent" }, "NotInTable"},
		"unknown namespace":        {func(r *certv1.PodCertificateRequest) { r.Namespace = "default" }, "NotInTable"},
		"an actor where none is":   {actor("operator"), "ActorNotAllowed"},
		"its own name as an actor": {actor("idp"), "ActorNotAllowed"},
		"an empty actor":           {actor(""), "ActorNotAllowed"},
		"another annotation": {func(r *certv1.PodCertificateRequest) {
			r.Spec.UnverifiedUserAnnotations = map[string]string{"lockstep.dev/name": "idp"}
		}, "InvalidUnverifiedUserAnnotations"},
		"the player without actor":   {player(""), "ActorMissing"},
		"the player as a component":  {player("tpm-agent"), "ActorNotAllowed"},
		"the device as the operator": {func(r *certv1.PodCertificateRequest) { player("operator")(r); r.Namespace = "lockstep-device-1" }, "NotInTable"},
		"another kind of key":        {func(r *certv1.PodCertificateRequest) { r.Spec.StubPKCS10Request = csr(t, edwards) }, "UnsupportedKeyType"},
		"no request":                 {func(r *certv1.PodCertificateRequest) { r.Spec.StubPKCS10Request = []byte("x") }, "InvalidRequest"},
		"a request of another key": {func(r *certv1.PodCertificateRequest) {
			b := r.Spec.StubPKCS10Request
			b[len(b)-1] ^= 1
		}, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			r := request(t, "lockstep-cloud", "idp", "")
			c.change(r)
			got := d.ask(r)
			if len(got.Conditions) != 1 || got.Conditions[0].Type != certv1.PodCertificateRequestConditionTypeDenied || got.Conditions[0].Reason != c.reason || got.Conditions[0].Message == "" {
				t.Errorf("%+v", got.Conditions)
			}
			if got.CertificateChain != "" || got.NotBefore != nil || got.NotAfter != nil || got.BeginRefreshAt != nil {
				t.Errorf("something is issued: %+v", got)
			}
			if e := d.event(); !strings.Contains(e, "IdentityDenied") || !strings.Contains(e, c.reason) {
				t.Errorf("event %q", e)
			}
		})
	}
}

func actor(name string) func(*certv1.PodCertificateRequest) {
	return func(r *certv1.PodCertificateRequest) {
		r.Spec.UnverifiedUserAnnotations = map[string]string{signer.ActorAnnotation: name}
	}
}

func player(name string) func(*certv1.PodCertificateRequest) {
	return func(r *certv1.PodCertificateRequest) {
		r.Namespace, r.Spec.ServiceAccountName = "lockstep-player", "player"
		if name != "" {
			actor(name)(r)
		}
	}
}

// TestWhatIsNotOursIsLeftAlone: other signers' requests, and those with an answer.
func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	d := newDesk(t)
	other := request(t, "lockstep-cloud", "idp", "")
	other.Name, other.Spec.SignerName = "req-2", "example.com/other"
	answered := request(t, "lockstep-cloud", "idp", "")
	answered.Status.Conditions = []metav1.Condition{{Type: certv1.PodCertificateRequestConditionTypeDenied}}
	for _, r := range []*certv1.PodCertificateRequest{other, answered} {
		if got := d.ask(r); got.CertificateChain != "" || len(got.Conditions) != len(r.Status.Conditions) {
			t.Errorf("%s: %+v", r.Spec.SignerName, got)
		}
	}
	if err := d.Answer(t.Context(), request(t, "lockstep-cloud", "adfs", "")); err != nil {
		t.Errorf("a request that is gone: %v", err)
	}
}
