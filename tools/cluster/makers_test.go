package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/cluster/internal/kube"
)

// TestWhereATPMHasItsMaker reads the manifest of the tpm-agent itself.
func TestWhereATPMHasItsMaker(t *testing.T) {
	text, err := os.ReadFile("../../deploy/base/device/tpm-agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folders := func(text string) (all []string) {
		objects, err := kube.Split([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			f, err := makerFolder(o)
			if err != nil {
				t.Fatal(err)
			}
			if f != "" {
				all = append(all, f)
			}
		}
		return all
	}
	if got := folders(string(text)); len(got) != 1 || got[0] != "/var/lib/tpm/softtpm/maker" {
		t.Errorf("%q", got)
	}
	// swtpm beside the agent has no maker to ask.
	if got := folders(strings.ReplaceAll(string(text), "lockstep/softtpm:", "lockstep/swtpm:")); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

func certificate(t *testing.T, name string, authority bool) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: authority, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestOnlyOneMakerOfEmulatedTPMsIsTaken: what a device answers is a stranger's word.
func TestOnlyOneMakerOfEmulatedTPMsIsTaken(t *testing.T) {
	good := certificate(t, makerName, true)
	makers := map[string]string{}
	for range 2 { // the same one twice is one
		if err := addMaker(makers, []byte("# CN="+makerName+"\n"+good)); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{
		"", "x", good + certificate(t, makerName, true), good + "x", good[:len(good)/2],
		certificate(t, "Infineon OPTIGA TPM 2.0 ECC CA", true), certificate(t, makerName, false),
		strings.ReplaceAll(good, "CERTIFICATE", "PRIVATE KEY"),
	} {
		if err := addMaker(makers, []byte(bad)); err == nil {
			t.Errorf("taken: %.60q", bad)
		}
	}
	if len(makers) != 1 {
		t.Errorf("%d makers", len(makers))
	}
	// One device that has much to say, or many that say something, must not keep the cloud
	// from starting.
	if err := addMaker(map[string]string{}, append(make([]byte, 64<<10), good...)); err == nil {
		t.Error("64 KiB are taken")
	}
	many := map[string]string{}
	for i := range 65 {
		if err := addMaker(many, []byte(certificate(t, makerName, true))); (err != nil) != (i == 64) {
			t.Fatalf("maker %d: %v", i+1, err)
		}
	}
	object, err := makersObject(makers)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := kube.Split(object.Text); err != nil || back[0].ID() != object.ID() || object.ID() != "ConfigMap lockstep-cloud/tpm-makers" {
		t.Errorf("%v %v", back, err)
	}
	for name, text := range makers {
		if !strings.HasSuffix(name, ".pem") || text != good || !strings.Contains(string(object.Text), name) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
