package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
	"github.com/lockstep-sso/lockstep/tools/conformance/internal/report"
)

func TestPage(t *testing.T) {
	var out bytes.Buffer
	r := &report.Report{Out: &out}
	r.Add(cases.Result{Client: "two", Version: "2.0", Case: "a", Verdict: cases.Pass, Reason: "aud x"})
	r.Add(cases.Result{Client: "one", Version: "1.0", Case: "b", Verdict: cases.Fail, Reason: "a | b <script> [link](x)"})
	r.Add(cases.Result{Client: "one", Version: "-", Case: "all", Verdict: cases.Skip, Reason: "why"})
	page := r.Page(r.Order([]string{"one"}), "abc1234", time.Unix(0, 0))
	for _, want := range []string{
		"1970-01-01 00:00 UTC on revision abc1234: 1 passed, 1 failed, 1 skipped.",
		"| one | 1.0 | 0 | 1 | 1 |\n| two | 2.0 | 1 | 0 | 0 |",
		`| b | FAIL | a \| b &lt;script&gt; \[link\](x) |`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("page lacks %q:\n%s", want, page)
		}
	}
	if !strings.Contains(out.String(), "FAIL  one  b: a | b") {
		t.Errorf("lines: %s", out.String())
	}
}
