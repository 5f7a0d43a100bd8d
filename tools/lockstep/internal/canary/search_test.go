package canary_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"
	"testing/iotest"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
)

// TestTheSearchFindsAtEveryPlace puts a key at the beginning, at the end and around
// the places where one read ends and the next begins.
func TestTheSearchFindsAtEveryPlace(t *testing.T) {
	const size, read = 3 << 20, 1 << 20
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	needles, err := canary.NewNeedles([]canary.Key{{Name: "k", Bytes: key}})
	if err != nil {
		t.Fatal(err)
	}
	hay := make([]byte, size)
	_, _ = rand.Read(hay)
	places := []int{0, 1, 7, 8, 9, size - 32}
	for d := -100; d < 100; d += 7 {
		places = append(places, read+d, 2*read+d)
	}
	for _, at := range places {
		was := bytes.Clone(hay[at : at+32])
		copy(hay[at:], key)
		found, err := needles.In(bytes.NewReader(hay))
		if err != nil || len(found) != 2 || found[0].At != int64(at) || found[1].At != int64(at)+16 {
			t.Errorf("at %d: %v, %v", at, found, err)
		}
		copy(hay[at:], was)
	}
	for _, short := range []int{0, 1, 7, 15, 16, 17, 31} {
		found, err := needles.In(iotest.OneByteReader(bytes.NewReader(key[:short])))
		if want := min(short/16, 1); err != nil || len(found) != want {
			t.Errorf("%d bytes of the key: %v, %v", short, found, err)
		}
	}
	if found, err := needles.In(bytes.NewReader(hay)); err != nil || len(found) != 0 {
		t.Errorf("without the key: %v, %v", found, err)
	}
	if _, err := needles.In(iotest.ErrReader(io.ErrClosedPipe)); err == nil {
		t.Error("a read that fails is no error")
	}
	if _, err := canary.NewNeedles([]canary.Key{{Name: "short", Bytes: key[:16]}}); err == nil {
		t.Error("a key of another size was taken")
	}
}
