package judge

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	c := New(&bytes.Buffer{}, nil)
	if !c.Check("s", "good", "T6", func() (string, error) { return "seen", nil }) {
		t.Error("a check without an error is not passed")
	}
	if c.Check("s", "bad", "", func() (string, error) { return "seen", errors.New("because") }) {
		t.Error("a check with an error is passed")
	}
	c.Skip("s", "absent", "T5", "no docker")
	if p, f, s := c.Count(); p != 1 || f != 1 || s != 1 {
		t.Errorf("counts %d %d %d", p, f, s)
	}
	var table, text bytes.Buffer
	c.Write(&table)
	for _, want := range []string{"seen", "FAIL", "because", "not run", "no docker", "1 passed, 1 failed, 1 not run"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in\n%s", want, &table)
		}
	}
	if err := c.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Failed   int `json:"failed"`
		Verdicts []Verdict
	}
	if err := json.Unmarshal(text.Bytes(), &got); err != nil || got.Failed != 1 || len(got.Verdicts) != 3 || got.Verdicts[2].Outcome != Skip {
		t.Errorf("%v: %s", err, &text)
	}
}

// What was not asked for has no verdict and stops nothing, save what others stand on.
func TestOnly(t *testing.T) {
	c := New(&bytes.Buffer{}, regexp.MustCompile("etcd|logs"))
	bad := func() (string, error) { return "", errors.New("it ran") }
	if !c.Check("s", "overlay", "", bad) || c.Check("s", "etcd has no password", "", bad) || c.Need("s", "stand-in", "", bad) {
		t.Error("the wrong ones ran")
	}
	c.Skip("s", "overlay", "", "no docker")
	if p, f, s := c.Count(); p != 0 || f != 2 || s != 0 {
		t.Errorf("counts %d %d %d", p, f, s)
	}
}
