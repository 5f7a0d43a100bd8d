package tokencache

import (
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// BenchmarkAccess finds one access token among few and among many.
func BenchmarkAccess(b *testing.B) {
	for _, n := range []int{1, maxAccess} {
		b.Run(fmt.Sprintf("cached=%d", n), func(b *testing.B) {
			q, err := durable.OpenQuarantine(b.TempDir(), nil)
			if err != nil {
				b.Fatal(err)
			}
			c, err := New(Config{Dir: b.TempDir(), Quarantine: q})
			if err != nil {
				b.Fatal(err)
			}
			keys := make([]AccessKey, n)
			for i := range keys {
				keys[i] = AccessKey{Owner: owner(), Client: "44444444-4444-4444-8444-444444444444", Resource: "https://graph.microsoft.com"}
				c.PutAccess(keys[i], apptoken.Grant{ExpiresAt: time.Now().Add(time.Hour)})
			}
			for i := 0; b.Loop(); i++ {
				if _, ok := c.Access(keys[i%n]); !ok {
					b.Fatal("lost")
				}
			}
		})
	}
}
