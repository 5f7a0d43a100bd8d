package idp_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

func setDevice(t testing.TB, w *world, id string, enabled bool) {
	t.Helper()
	if _, err := w.admin.SetDeviceEnabled(context.Background(), &directoryv1.SetDeviceEnabledRequest{DeviceId: id, Enabled: enabled}); err != nil {
		t.Fatal(err)
	}
}

func removeDevice(t testing.TB, w *world, id string) {
	t.Helper()
	if _, err := w.admin.RemoveDevice(context.Background(), &directoryv1.RemoveDeviceRequest{DeviceId: id}); err != nil {
		t.Fatal(err)
	}
}

func setUser(t testing.TB, w *world, upn string, enabled bool) {
	t.Helper()
	if _, err := w.admin.SetUserEnabled(context.Background(), &directoryv1.SetUserEnabledRequest{UserPrincipalName: upn, Enabled: enabled}); err != nil {
		t.Fatal(err)
	}
}

func setPassword(t testing.TB, w *world, upn, password string) {
	t.Helper()
	if _, err := w.admin.SetUserPassword(context.Background(), &directoryv1.SetUserPasswordRequest{UserPrincipalName: upn, Password: password}); err != nil {
		t.Fatal(err)
	}
}

// flipSignature flips one bit in a byte of the signature.
func flipSignature(t testing.TB, compact string, at int) string {
	t.Helper()
	i := strings.LastIndex(compact, ".") + 1
	sig, err := jose.DecodeSegment(compact[i:])
	if err != nil {
		t.Fatal(err)
	}
	sig[at] ^= 1
	return compact[:i] + jose.EncodeSegment(sig)
}

// withPayload puts another payload under the same header and signature.
func withPayload(compact string, payload []byte) string {
	parts := strings.Split(compact, ".")
	return parts[0] + "." + jose.EncodeSegment(payload) + "." + parts[2]
}

// selfSigned is a certificate that says everything the device's own says, made
// by the device itself.
func selfSigned(t testing.TB, d *device) []byte {
	t.Helper()
	own, err := x509.ParseCertificate(d.cert)
	if err != nil {
		t.Fatal(err)
	}
	id, err := entrawire.ParseDeviceCertificate(own)
	if err != nil {
		t.Fatal(err)
	}
	exts, err := entrawire.DeviceExtensions(string(id.DeviceID), string(id.UserID), string(id.TenantID), id.JoinType)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: d.id}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, ExtraExtensions: exts,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &d.dk.PublicKey, d.dk)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// pemCertificate is some certificate, PEM.
func pemCertificate(t testing.TB) string {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ADFS Signing"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &rsaKeys()[5].PublicKey, rsaKeys()[5])
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func indent(s, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n"+by) + "\n"
}
