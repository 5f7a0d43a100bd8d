package entrawire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// writeVectors is false unless somebody means to publish other vectors than those
// that stand in the folder; a run of the tests never changes them.
func writeVectors() bool {
	f := flag.Lookup("write")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("write", false, "write the public vectors anew")
	flag.Parse()
	os.Exit(m.Run())
}

// TestNEW06_Reproducible makes every vector again from the fixed keys, by code
// that shares nothing with this package but the protocol, and compares it with
// the file, byte for byte.
func TestNEW06_Reproducible(t *testing.T) {
	made := map[string]bool{}
	for _, v := range allCases(loadKeys(t)) {
		if made[v.Name] {
			t.Errorf("%s is made twice", v.Name)
		}
		made[v.Name] = true
		want := encodeVector(t, v)
		p := filepath.Join(vectorDir, filepath.FromSlash(v.Name)+".json")
		if writeVectors() {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the keys make of it (%v): if the change is meant, run go test ./pkg/entrawire -run NEW06_Reproducible -write", p, err)
		}
	}
	for _, v := range vectors(t) {
		if !made[v.Name] {
			t.Errorf("%s: nothing here makes this file", v.Name)
		}
	}
}

func encodeVector(t *testing.T, v vector) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func allCases(k keys) []vector {
	var all []vector
	for _, of := range []func(keys) []vector{
		prtCases, prtFormCases, prtClaimCases, deviceProofCases, sessionCases, sessionDefects, tokenCases, cookieCases,
		sessionKeyCases, answerCases, answerDefects, helloCases, certificateCases, transportKeyCases,
	} {
		all = append(all, of(k)...)
	}
	return all
}
