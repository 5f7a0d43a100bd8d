package front_test

import (
	"crypto/hmac"
	"crypto/sha1" // RFC 6238 with SHA-1 is what authenticators do
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// totp is the code of RFC 6238 at a time.
func totp(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(at.Unix()/30)))
	sum := mac.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1000000)
}

// tenants is the standard file with another profile, and with more lines for
// every tenant.
func tenants(profile, more string) []byte {
	return []byte(strings.ReplaceAll(string(tenant.Default()), "profile: today\n", "profile: \""+profile+"\"\n"+more))
}
