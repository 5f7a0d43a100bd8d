package main

import (
	"strings"
	"testing"
)

// A run is good only if exactly the expected tests ran and passed.
func TestReport(t *testing.T) {
	const a, b = `{"Action":"run","Test":"TestA"}
{"Action":"pass","Test":"TestA"}
`, `{"Action":"run","Test":"TestB"}
{"Action":"pass","Test":"TestB/sub"}
{"Action":"pass","Test":"TestB"}
`
	for _, v := range []struct {
		name, events string
		good         bool
		says         string
	}{
		{"all passed", a + b, true, "2 passed, 0 failed"},
		{"one less", a, false, "TestB"},
		{"nothing ran", "", false, "0 passed, 2 failed"},
		{"one more", a + b + `{"Action":"pass","Test":"TestC"}`, false, "is not in expected.txt"},
		{"one failed", a + `{"Action":"output","Test":"TestB/sub","Output":"why\n"}` + "\n" + `{"Action":"fail","Test":"TestB"}`, false, "    why"},
		{"one skipped", a + `{"Action":"skip","Test":"TestB"}`, false, "skipped"},
		{"a subtest skipped", a + `{"Action":"skip","Test":"TestB/sub"}` + "\n" + `{"Action":"pass","Test":"TestB"}`, false, "skipped"},
		{"panic", a + `{"Action":"run","Test":"TestB"}` + "\n" + `{"Action":"output","Output":"panic: x\n"}`, false, "panic: x"},
	} {
		r, err := readResults(strings.NewReader(v.events))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if good := r.report(&out, []string{"TestA", "TestB"}); good != v.good || !strings.Contains(out.String(), v.says) {
			t.Errorf("%s: %v, printed\n%s", v.name, good, out.String())
		}
	}
	if _, err := readResults(strings.NewReader("no json")); err == nil {
		t.Error("a line that is no event was accepted")
	}
}
