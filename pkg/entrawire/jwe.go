package entrawire

import (
	"encoding/json"
	"fmt"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// checkHeader reads the header segment of a JWE: exactly the members of want
// with exactly those values, and beside them only those that extra reads. A
// header that says less or more is of another form.
func checkHeader(segment string, want map[string]string, extra func(name, value string) bool) error {
	raw, err := jose.DecodeSegment(segment)
	if err != nil {
		return err
	}
	var m map[string]json.RawMessage
	if err := jose.DecodeObject(raw, &m); err != nil {
		return err
	}
	found := 0
	for name, v := range m {
		value, err := jose.Text(v)
		if err != nil {
			return err
		}
		switch w, ok := want[name]; {
		case ok && value == w:
			found++
		case ok, extra == nil, !extra(name, value):
			return fmt.Errorf("%w: header is of another form", jose.ErrMalformed)
		}
	}
	if found != len(want) {
		return fmt.Errorf("%w: header is of another form", jose.ErrMalformed)
	}
	return nil
}
