package acceptance_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // OAEP with SHA-1 is what the protocol has
	"crypto/sha256"
	"os"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// The flows end to end, in one process over in-memory connections with mutual TLS
// and traces on. x_floor is the time against the cryptography that no implementation
// of the same flow can do without, measured in the same run.

func BenchmarkFirstSignIn(b *testing.B) {
	w := newWorld(b, lab.Config{TPM: "mem:"})
	w.join(w.device)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		w.forget()
		b.StartTimer()
		w.signIn(w.device)
	}
	// Sign with dk, check the password, unwrap with tk, make the cached verifier.
	floor(b, 1, 1, 2)
}

func BenchmarkRenewal(b *testing.B) {
	w := newWorld(b, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		if err := w.device.LogonUI.SignOut(b.Context(), desktop); err != nil {
			b.Fatal(err)
		}
		if err := w.lab.Advance(b.Context(), 4*time.Hour+time.Minute); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		desktop = w.signIn(w.device)
		w.settle(w.device)
	}
	// Check the password on the device and in the cloud, unwrap with tk.
	floor(b, 0, 1, 2)
}

func BenchmarkAppToken(b *testing.B) {
	w := newWorld(b, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	w.token(w.device, desktop) //nolint:errcheck // the loop below checks
	b.ResetTimer()
	for range b.N {
		if _, err := w.token(w.device, desktop); err != nil {
			b.Fatal(err)
		}
	}
	floor(b, 1, 0, 0) // sign the access token
}

func BenchmarkBrowserSSO(b *testing.B) {
	w := newWorld(b, lab.Config{TPM: "mem:"})
	w.join(w.device)
	desktop := w.signIn(w.device)
	b.ResetTimer()
	for range b.N {
		if w.browse(w.device, desktop, secret.Text{}).SignInPage {
			b.Fatal("no single sign-on")
		}
	}
	floor(b, 1, 0, 0) // sign the ID token
}

// forget makes the device forget the user.
func (w *world) forget() {
	w.t.Helper()
	if err := os.RemoveAll(w.device.StateDir("lsa-cloudap")); err != nil {
		w.t.Fatal(err)
	}
	if err := w.device.Restart(w.t.Context(), "lsa-cloudap"); err != nil {
		w.t.Fatal(err)
	}
}

// floor reports the ratio to so many RSA-2048 signatures, OAEP decryptions and
// password hashes.
func floor(b *testing.B, signs, decrypts, hashes int) {
	b.Helper()
	b.StopTimer()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("floor"))
	wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, &key.PublicKey, digest[:], nil)
	if err != nil {
		b.Fatal(err)
	}
	params := &argon2id.Params{Memory: 7 * 1024, Iterations: 5, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	total := time.Duration(signs)*mean(b, func() error { _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); return err }) +
		time.Duration(decrypts)*mean(b, func() error {
			_, err := rsa.DecryptOAEP(sha1.New(), nil, key, wrapped, nil)
			return err
		}) +
		time.Duration(hashes)*mean(b, func() error { _, err := argon2id.CreateHash("floor", params); return err })
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(total), "x_floor")
	b.ReportMetric(float64(total.Microseconds())/1000, "floor_ms")
}

func mean(b *testing.B, f func() error) time.Duration {
	b.Helper()
	const rounds = 20
	start := time.Now()
	for range rounds {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / rounds
}
