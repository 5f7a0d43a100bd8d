package entrawire

import (
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// maxShort bounds members that hold names, URLs and nonces, in bytes. Tokens and
// assertions are bounded by the size of the message.
const maxShort = 2048

// HasScope reports whether a space-separated scope list names one scope.
func HasScope(list, scope string) bool { return slices.Contains(strings.Fields(list), scope) }

// IsOpaque reports whether s can be a PRT, a refresh token or a nonce: not empty
// and made of A-Z, a-z, 0-9, dot, underscore and hyphen only. Some clients put
// such values in bodies and headers without escaping them.
func IsOpaque(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return s != ""
}

// checker collects the first thing that is wrong with a shape.
type checker struct {
	shape string
	err   error
}

func (c *checker) fail(field, problem string) {
	if c.err == nil {
		c.err = &FieldError{c.shape, field, problem}
	}
}

func (c *checker) require(ok bool, field, problem string) {
	if !ok {
		c.fail(field, problem)
	}
}

func (c *checker) client(field, id string) {
	_, err := ids.ParseClient(id)
	c.require(err == nil, field, "is not a GUID")
}

func (c *checker) short(field, s string) {
	c.require(len(s) <= maxShort, field, "is longer than 2048 bytes")
}

func (c *checker) opaque(field string, t secret.Text) {
	c.require(!t.Empty(), field, "is missing")
	c.require(t.Empty() || IsOpaque(t.Reveal()), field, "has characters other than A-Z a-z 0-9 . _ -")
}
