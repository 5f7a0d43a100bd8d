package idp_test

import (
	"path/filepath"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/services/idp"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store/postgres/pgtest"
)

// BenchmarkRenewalByStore is the renewal of a PRT on each store, by one client and by
// eight, against one RSA-2048 signature of the same minute. With PostgreSQL it is one
// look at what changed and one durable write, the use of the request; user and device
// come from memory.
func BenchmarkRenewalByStore(b *testing.B) {
	for _, s := range []struct {
		name string
		cfg  func(*testing.B) idp.Config
	}{
		{"memory", func(*testing.B) idp.Config { return idp.Config{} }},
		{"sqlite", func(b *testing.B) idp.Config { return idp.Config{StateDir: filepath.Join(b.TempDir(), "state")} }},
		{"postgres", func(b *testing.B) idp.Config {
			return idp.Config{Database: pgtest.Start(b, pgtest.Config{Durable: true}).Database(b)}
		}},
	} {
		b.Run(s.name, func(b *testing.B) {
			w := newWorld(b, s.cfg(b))
			signIn := w.join(b, alice, alicePassword, 1, 2).first(b, alice, alicePassword)
			for name, clients := range map[string]int{"c1": 1, "c8": 8} {
				b.Run(name, func(b *testing.B) { renewals(b, w, signIn, clients) })
			}
		})
	}
}

func renewals(b *testing.B, w *world, s *signIn, clients int) {
	sign := timed(b, func() error {
		_, err := jose.SignRS256(jose.Header{Typ: "JWT"}, []byte(`{"a":1}`), rsaKeys()[0])
		return err
	})
	requests := make(chan string, b.N)
	for _, r := range prepared(b, func() string { return s.sign(b, s.renewal(b)) }) {
		requests <- r
	}
	close(requests)
	b.ResetTimer()
	done := make(chan error, clients)
	for range clients {
		go func() {
			for r := range requests {
				if _, err := w.renewPRT(r); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	ratio(b, sign)
}
