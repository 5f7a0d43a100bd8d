// Package bootstrap writes identities as Secrets, for clusters without pod
// certificates: one Secret identity-NAME for each name of each namespace in the table.
//
// It writes what is missing, ends soon, or is not what the table and the authorities say,
// and leaves the rest alone, so it may run as often as one likes. Who may read Secrets of
// a namespace can be every component in it: pod certificates are the better way where the
// cluster has them. The caller is the command bootstrap.
package bootstrap

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/authority"
	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

// The keys of a Secret are the files of an identity.
const (
	certKey = "cert.pem"
	keyKey  = "key.pem"
	caKey   = "ca.pem"
)

// Config is what a bootstrap needs; all of it.
type Config struct {
	Client      kubernetes.Interface
	Table       *table.Table
	Authorities *authority.Set
	// Life of a certificate, of which a third is left when it is made anew.
	Life time.Duration
	Log  *slog.Logger
	Now  time.Time
}

// Run writes all Secrets that are to be written. It goes on after an error, and returns
// all of them.
func Run(ctx context.Context, cfg Config) error {
	var errs []error
	for _, namespace := range cfg.Table.Order() {
		n := cfg.Table.Namespaces[namespace]
		bundle := cfg.Authorities.Bundle(n.Trusts)
		for _, name := range n.Names() {
			if err := cfg.write(ctx, namespace, name, bundle); err != nil {
				errs = append(errs, fmt.Errorf("identity of %s in %s: %w", name, namespace, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (cfg Config) write(ctx context.Context, namespace, name string, bundle []byte) error {
	secrets := cfg.Client.CoreV1().Secrets(namespace)
	old, err := secrets.Get(ctx, "identity-"+name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	data := map[string][]byte{}
	if !missing {
		data = maps.Clone(old.Data)
	}
	why := cfg.stale(cfg.Authorities.Of(namespace), name, data)
	if why == "" && string(data[caKey]) == string(bundle) {
		return nil
	}
	if why != "" {
		if data, err = cfg.issue(cfg.Authorities.Of(namespace), name); err != nil {
			return err
		}
	} else {
		why = "other authorities are trusted"
	}
	data[caKey] = bundle
	cfg.Log.Info("identity", "namespace", namespace, "secret", "identity-"+name, "because", why)
	if missing {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "identity-" + name, Namespace: namespace, Labels: map[string]string{"app.kubernetes.io/part-of": "lockstep"}},
			Type:       corev1.SecretTypeOpaque, Data: data,
		}, metav1.CreateOptions{})
		return err
	}
	changed := old.DeepCopy()
	changed.Data = data
	_, err = secrets.Update(ctx, changed, metav1.UpdateOptions{})
	return err
}

// stale says why a Secret needs a new key and certificate; "" is that it does not.
func (cfg Config) stale(a *authority.Authority, name string, data map[string][]byte) string {
	if len(data) == 0 {
		return "there is none"
	}
	pair, err := tls.X509KeyPair(data[certKey], data[keyKey])
	switch {
	case err != nil:
		return "it cannot be read"
	case !a.Made(pair.Leaf):
		return "another authority made it"
	case len(pair.Leaf.DNSNames) != 1 || pair.Leaf.DNSNames[0] != name:
		return "it is for another name"
	case pair.Leaf.NotAfter.Sub(cfg.Now) < cfg.Life/3:
		return "it ends soon"
	}
	return ""
}

func (cfg Config) issue(a *authority.Authority, name string) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	issued, err := a.Issue(name, &key.PublicKey, cfg.Now, cfg.Life)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{certKey: issued.PEM, keyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, nil
}
