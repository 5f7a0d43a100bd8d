package idp_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	"github.com/lockstep-sso/lockstep/services/idp"
)

// burst is many registrations of one user, of one computer after the other.
type burst struct {
	w    *world
	lab  *clock.Lab
	d    *device
	r    *idpv1.RegisterDeviceRequest
	made int64
}

func newBurst(t *testing.T) *burst {
	w, lab := labWorld(t, idp.Config{})
	d := &device{w: w, dk: rsaKeys()[1], tk: rsaKeys()[2]}
	return &burst{w: w, lab: lab, d: d, r: d.enrolment(t, alice, alicePassword)}
}

// next has the request ask for another device: nothing proves a transport key, so another
// number is another key.
func (b *burst) next(t *testing.T) {
	t.Helper()
	blob, err := entrawire.MarshalRSA1(&rsa.PublicKey{N: new(big.Int).Sub(b.d.tk.N, big.NewInt(2*b.made)), E: b.d.tk.E})
	if err != nil {
		t.Fatal(err)
	}
	b.r.TransportKey = blob
	b.made++
}

func (b *burst) register() error {
	_, err := b.w.devices.RegisterDevice(context.Background(), b.r)
	return err
}

// overHTTPS is the same request as Windows sends it.
func (b *burst) overHTTPS(t *testing.T) (int, http.Header, map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"CertificateRequest": map[string]string{"Type": "pkcs10", "Data": base64.StdEncoding.EncodeToString(b.r.GetCertificateRequest())},
		"TransportKey":       base64.StdEncoding.EncodeToString(b.r.GetTransportKey()), "TargetDomain": "contoso.test",
		"DeviceType": "Windows", "OSVersion": "10.0.26100", "DeviceDisplayName": "DESKTOP-1", "JoinType": 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "https://enterpriseregistration.windows.net/EnrollmentServer/device/?api-version=2.0", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+b.r.GetAccessToken())
	r.Header.Set("Content-Type", "application/json")
	status, header, text := b.w.overHTTPS(r)
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("status %d: %v", status, err)
	}
	return status, header, m
}

// TestREG25_ABurstOfJoinsIsThrottled with DirectoryError and a hint of 300 seconds, over
// both doors; nothing is made, others are not held up, and after the wait it works.
func TestREG25_ABurstOfJoinsIsThrottled(t *testing.T) {
	b := newBurst(t)
	for range 20 {
		b.next(t)
		if err := b.register(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.register(); err != nil {
		t.Errorf("the same request once more: %v", err)
	}
	b.next(t)
	b.w.unchanged(t, func() {
		err := b.register()
		if prterr.KindOf(err) != prterr.Exhausted || prterr.RetryAfterOf(err) != 300*time.Second || !strings.HasPrefix(err.Error(), "DirectoryError: ") {
			t.Errorf("the 21st: %v, %v", err, prterr.RetryAfterOf(err))
		}
		status, header, m := b.overHTTPS(t)
		message, _ := m["message"].(string)
		if status != http.StatusTooManyRequests || header.Get("Retry-After") != "300" || !strings.HasPrefix(message, "DirectoryError: ") || !strings.Contains(message, "300 seconds") {
			t.Errorf("over HTTPS: %d, Retry-After %q, %v", status, header.Get("Retry-After"), m)
		}
	})
	b.w.join(t, bob, bobPassword, 3, 4)
	b.lab.Advance(300 * time.Second)
	if err := b.register(); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}
