// Package wycheprooftest judges this repository's own cryptographic paths by the
// test vectors of Project Wycheproof, each of which was made to break somebody.
//
// What lives here: the vectors (testdata, Apache-2.0; tools/wycheproof fetches
// them), their reader, and Judge, which counts and demands a reason for every
// deviation. What never may: cryptography; the tests of the packages that have the
// paths call Judge with theirs.
package wycheprooftest

import (
	"bytes"
	"embed"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"
)

//go:embed testdata/*.json
var vectors embed.FS

// Hex is a byte string as the vectors spell it.
type Hex []byte

// UnmarshalText reads hexadecimal.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Group is what its vectors have in common, as far as a test reads it. Sizes are
// in bits.
type Group struct {
	Type, Comment            string
	KeySize, IVSize, TagSize int
	SHA, MGFSHA              string
	// PrivateKeyPKCS8 and PublicKeyASN, a PKCS #1 key, are of RSA.
	PrivateKeyPKCS8 Hex `json:"privateKeyPkcs8"`
	PublicKeyASN    Hex `json:"publicKeyAsn"`
	// PublicKey is of an elliptic curve.
	PublicKey struct{ Uncompressed Hex }
	// Private and Public are JSON web keys.
	Private, Public json.RawMessage
	Tests           []Vector
}

// Vector is one case. What an algorithm does not have is empty.
type Vector struct {
	ID      int `json:"tcId"`
	Comment string
	Flags   []string
	// Result is valid, invalid or acceptable: either is right.
	Result                                 string
	Key, IV, AAD, Msg, CT, Tag, Sig, Label Hex
	JWS                                    string
}

// Read reads a file of testdata by its name, without _test.json.
func Read(t testing.TB, name string) []*Group {
	t.Helper()
	raw, err := vectors.ReadFile("testdata/" + name + "_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int
		TestGroups    []*Group
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	n := 0
	for _, g := range file.TestGroups {
		n += len(g.Tests)
	}
	if n == 0 || n != file.NumberOfTests {
		t.Fatalf("%s: %d vectors, the file says %d", name, n, file.NumberOfTests)
	}
	return file.TestGroups
}

// Deviation is a row of the table of what a path does otherwise than a vector
// says. It is for the vectors that IDs or If name and no others.
type Deviation struct {
	// IDs are of the file that is judged.
	IDs []int
	If  func(*Group, *Vector) bool
	// Does is what the path does, Why the reason that this is meant.
	Does, Why string
}

func (d Deviation) covers(g *Group, v *Vector) bool {
	return slices.Contains(d.IDs, v.ID) || d.If != nil && d.If(g, v)
}

// Path takes a vector as the path under test would meet it. nil says that the path
// took it and gave what the vector says; an error that it refused. A path that took
// it and gave something else fails the test by itself, see Same.
type Path func(t *testing.T, g *Group, v *Vector) error

// Judge runs a file of vectors through a path. A vector that deviates and that no
// row of the table covers fails the test, and so does a row that covers nothing
// that deviates, or names a vector that does not.
func Judge(t *testing.T, name string, path Path, table ...Deviation) {
	t.Helper()
	run, free, used := 0, 0, make([][]int, len(table))
	for _, g := range Read(t, name) {
		for i := range g.Tests {
			v := &g.Tests[i]
			run++
			err := path(t, g, v)
			if v.Result == "acceptable" {
				free++
				continue
			}
			if (err == nil) == (v.Result == "valid") {
				continue
			}
			row := slices.IndexFunc(table, func(d Deviation) bool { return d.covers(g, v) })
			if row < 0 {
				t.Errorf("%s: vector %d (%s, %v) is %s, and the path says: %v", name, v.ID, v.Comment, v.Flags, v.Result, err)
				continue
			}
			used[row] = append(used[row], v.ID)
		}
	}
	deviations := 0
	for i, d := range table {
		deviations += len(used[i])
		if len(used[i]) == 0 || slices.ContainsFunc(d.IDs, func(id int) bool { return !slices.Contains(used[i], id) }) {
			t.Errorf("%s: only %d deviate as this row says, so it goes, or some of its vectors: %s", name, used[i], d.Does)
			continue
		}
		t.Logf("%s: %d vectors: %s, because %s", name, len(used[i]), d.Does, d.Why)
	}
	t.Logf("%s: %d vectors run, %d deviate for a reason, %d may go either way", name, run, deviations, free)
}

// Same fails the test when a path took a vector and gave something else than it
// says, which is worse than any deviation.
func Same(t *testing.T, v *Vector, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("vector %d (%s): %s is %x, the vector says %x", v.ID, v.Comment, what, got, want)
	}
}
