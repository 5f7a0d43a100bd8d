package tpmca_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/lockstep-sso/lockstep/pkg/swtpmtest"
	"github.com/lockstep-sso/lockstep/pkg/tpmca"
)

func primaryPublic(t testing.TB, tpm transport.TPM, template tpm2.TPMTPublic) *tpm2.TPMTPublic {
	t.Helper()
	r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(tpm)
	ok(t, err)
	_, err = tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(tpm)
	ok(t, err)
	pub, err := r.OutPublic.Contents()
	ok(t, err)
	return pub
}

func TestManufacture(t *testing.T) {
	ca := open(t, t.TempDir())
	onEach(t, func(t *testing.T, tpm backend) {
		if _, err := tpmca.EKCertificate(tpm); !errors.Is(err, tpmca.ErrNoCertificate) {
			t.Fatalf("a new TPM: %v", err)
		}
		made, err := tpmca.Manufacture(t.Context(), tpm, ca, tpmca.P256, tpmca.RSA2048)
		ok(t, err)
		verify(t, made[0], ca, publicKey(t, primaryPublic(t, tpm, tpm2.ECCEKTemplate)))
		verify(t, made[1], ca, publicKey(t, primaryPublic(t, tpm, tpm2.RSAEKTemplate)))
		for i, index := range []tpm2.TPMHandle{tpmca.IndexP256, tpmca.IndexRSA2048} {
			got, err := tpmca.EKCertificateAt(tpm, index)
			ok(t, err)
			if !bytes.Equal(got, made[i]) {
				t.Errorf("index %x holds another certificate than was made", uint32(index))
			}
		}
		first, err := tpmca.EKCertificate(tpm)
		ok(t, err)
		if !bytes.Equal(first, made[0]) {
			t.Error("EKCertificate is not that of P-256")
		}
		checkAttributes(t, tpm)
		checkPlatformClosed(t, tpm)

		again := func() {
			t.Helper()
			now, err := tpmca.Manufacture(t.Context(), tpm, ca, tpmca.P256, tpmca.RSA2048)
			ok(t, err)
			if !bytes.Equal(now[0], made[0]) || !bytes.Equal(now[1], made[1]) {
				t.Error("another Manufacture made other certificates")
			}
			checkPlatformClosed(t, tpm)
		}
		again()
		tpm.cycle()
		tpm.start(t)
		again()
	})
}

// checkAttributes compares with TCG's value for an index that the maker wrote
// and locked: it is what other programs expect to find.
func checkAttributes(t *testing.T, tpm transport.TPM) {
	t.Helper()
	r, err := tpm2.NVReadPublic{NVIndex: tpmca.IndexP256}.Execute(tpm)
	ok(t, err)
	b := r.NVPublic.Bytes()
	const written, locked = 1 << 29, 1 << 11
	if got := binary.BigEndian.Uint32(b[6:]); got != 0x42072001|written|locked {
		t.Errorf("attributes %#x", got)
	}
}

func checkPlatformClosed(t *testing.T, tpm transport.TPM) {
	t.Helper()
	platform := tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}
	if _, err := (tpm2.Clear{AuthHandle: platform}).Execute(tpm); !errors.Is(err, tpm2.TPMRCBadAuth) {
		t.Errorf("Clear by the platform: %v", err)
	}
	r, err := tpm2.NVReadPublic{NVIndex: tpmca.IndexP256}.Execute(tpm)
	ok(t, err)
	index := tpm2.NamedHandle{Handle: tpmca.IndexP256, Name: r.NVName}
	if _, err := (tpm2.NVUndefineSpace{AuthHandle: platform, NVIndex: index}).Execute(tpm); !errors.Is(err, tpm2.TPMRCBadAuth) {
		t.Errorf("the platform frees the index: %v", err)
	}
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	if _, err := (tpm2.NVUndefineSpace{AuthHandle: owner, NVIndex: index}).Execute(tpm); !errors.Is(err, tpm2.TPMRCNVAuthorization) {
		t.Errorf("the owner frees the index: %v", err)
	}
	if _, err := (tpm2.NVWrite{AuthHandle: owner, NVIndex: index, Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte{1}}}).Execute(tpm); err == nil {
		t.Error("the owner writes the index")
	}
}

// cut is a TPM that is switched off at the n-th command.
type cut struct {
	transport.TPM
	left int
}

var errCut = errors.New("the power went")

func (c *cut) Send(cmd []byte) ([]byte, error) {
	if c.left == 0 {
		return nil, errCut
	}
	c.left--
	return c.TPM.Send(cmd)
}

// A loss of power after any command leaves a TPM that the next attempt completes.
func TestManufactureCutShort(t *testing.T) {
	ca := open(t, t.TempDir())
	onEach(t, func(t *testing.T, tpm backend) {
		n := 0
		for ; ; n++ {
			_, err := tpmca.Manufacture(t.Context(), &cut{tpm.TPM, n}, ca)
			if err == nil {
				break
			}
			if !errors.Is(err, errCut) {
				t.Fatalf("after %d commands: %v", n, err)
			}
			tpm.cycle()
			tpm.start(t)
		}
		if n < 8 {
			t.Errorf("done after %d commands, which cannot be", n)
		}
		der, err := tpmca.EKCertificate(tpm)
		ok(t, err)
		verify(t, der, ca, publicKey(t, primaryPublic(t, tpm, tpm2.ECCEKTemplate)))
		checkPlatformClosed(t, tpm)
	})
}

func TestManufactureRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, tpm backend) {
		ca := open(t, t.TempDir())
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := tpmca.Manufacture(over, tpm, ca); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over: %v", err)
		}
		if _, err := tpmca.Manufacture(t.Context(), tpm, ca, tpmca.EK(7)); err == nil {
			t.Error("an unknown kind of key was made")
		}
		ok(t, tpmca.ClosePlatform(tpm))
		ok(t, tpmca.ClosePlatform(tpm)) // once is enough, twice is no error
		if _, err := tpmca.Manufacture(t.Context(), tpm, ca); !errors.Is(err, tpmca.ErrPlatformClosed) {
			t.Errorf("with a closed platform: %v", err)
		}
		tpm.cycle()
		tpm.start(t)
		_, err := tpmca.Manufacture(t.Context(), tpm, ca)
		ok(t, err)
		if _, err := tpmca.Manufacture(t.Context(), tpm, open(t, t.TempDir())); !errors.Is(err, tpmca.ErrOtherMaker) {
			t.Errorf("the TPM of another maker: %v", err)
		}
	})
}

// swtpm_setup makes TPMs as a maker of virtual ones does, with an authority of
// its own; its P-384 certificate is the one found first.
func TestCertificateOfSwtpmSetup(t *testing.T) {
	dir, _ := swtpmtest.Manufacture(t)
	tpm := swtpm(t, dir)
	tpm.start(t)
	for _, index := range []tpm2.TPMHandle{tpmca.IndexRSA2048, tpmca.IndexP384} {
		der, err := tpmca.EKCertificateAt(tpm, index)
		ok(t, err)
		if len(der) < 500 {
			t.Errorf("index %x: %d bytes", uint32(index), len(der))
		}
	}
	first, err := tpmca.EKCertificate(tpm)
	ok(t, err)
	p384, err := tpmca.EKCertificateAt(tpm, tpmca.IndexP384)
	ok(t, err)
	if !bytes.Equal(first, p384) {
		t.Error("EKCertificate is not that of P-384")
	}
	if _, err := tpmca.EKCertificateAt(tpm, tpmca.IndexP256); !errors.Is(err, tpmca.ErrNoCertificate) {
		t.Errorf("P-256: %v", err)
	}
}
