package state

import (
	"bytes"
	_ "embed"
	"errors"
	"strings"
	"testing"
)

// Whatever lies in the file, it is refused with one of two names, or it is a
// record that is written as it was read.
func FuzzDecode(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		once, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(once)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if twice, err := encode(again); err != nil || !bytes.Equal(once, twice) || again.Leaving != r.Leaving {
			t.Errorf("read as\n%s\nthen as\n%s", once, twice)
		}
	})
}

// The seeds that are whole are read, so the fuzzer starts on both sides.
// joined is a whole file. Its certificate names a device that never was; nobody
// has the key.
//
//go:embed testdata/joined.json
var joined string

func seeds() []string {
	return []string{
		joined,
		strings.Replace(joined, "current", "pending", 1),
		strings.Replace(joined, `"version": 1`, `"version": 1, "leaving": true`, 1),
		strings.Replace(joined, `"version": 1`, `"version": 3`, 1),
		second(joined), second(joined) + " ", third(joined, ""), third(joined, member), fourth(joined, member), fourth(joined, ""), fourth(joined, `"membership_id": "x", `),
		strings.Replace(second(joined), `"version": 2`, `"version": 2, "keys_lost": true`, 1),
		strings.Replace(second(joined), `"version": 2`, `"version": 1`, 1),
		strings.Replace(second(joined), `"software"`, `"steel"`, 1),
		joined[:len(joined)/2],
		`{"version": 1}`,
		`{"version": 1, "current": null, "leaving": true}`,
	}
}

// second puts a file of the first version into the form of the second.
func second(s string) string {
	s = strings.Replace(s, `"version": 1`, `"version": 2`, 1)
	return strings.Replace(s, `"display_name"`, `"key_protection": "software", "display_name"`, 1)
}

// member is a membership as the fourth version has it.
const member = `"membership_id": "12345678-0000-4000-8000-000000000001", `

// third and fourth put a file of the first version into the form of a later one.
func third(s, member string) string { return later(s, "3", member) }

func fourth(s, member string) string { return later(s, "4", member) }

func later(s, version, member string) string {
	s = strings.Replace(second(s), `"version": 2`, `"version": `+version, 1)
	return strings.Replace(s, `"display_name"`, member+`"display_name"`, 1)
}

func TestSeedsAreOnBothSides(t *testing.T) {
	whole := 0
	for _, seed := range seeds() {
		if _, err := decode([]byte(seed)); err == nil {
			whole++
		}
	}
	if whole != 8 {
		t.Errorf("%d of the seeds are whole", whole)
	}
}
