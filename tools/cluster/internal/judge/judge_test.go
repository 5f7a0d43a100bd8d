package judge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	c := New(&bytes.Buffer{})
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
