// Package report writes what a run found: a line a case as it comes, a table for
// the terminal, and the page for the documentation.
//
// What lives here: the three forms. What never may: a verdict. The runner calls it.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/cases"
)

// Report collects the results of a run; it may be used by several suites at once.
type Report struct {
	// Out takes the lines and the table.
	Out io.Writer

	mu      sync.Mutex
	results []cases.Result
}

// Add takes one result and shows it.
func (r *Report) Add(c cases.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, c)
	_, _ = fmt.Fprintf(r.Out, "%s  %s  %s", c.Verdict, c.Client, c.Case)
	if c.Verdict != cases.Pass {
		_, _ = fmt.Fprintf(r.Out, ": %s", c.Reason)
	}
	_, _ = fmt.Fprintln(r.Out)
}

// Counts are the numbers of each verdict.
func (r *Report) Counts() (passed, failed, skipped int) {
	return count(r.results)
}

func count(results []cases.Result) (passed, failed, skipped int) {
	for _, c := range results {
		switch c.Verdict {
		case cases.Pass:
			passed++
		case cases.Fail:
			failed++
		case cases.Skip:
			skipped++
		}
	}
	return passed, failed, skipped
}

// client is the results of one client and version, in their order.
type client struct {
	name, version string
	results       []cases.Result
}

// clients groups the results by client, in the order given. A version that only
// some results know counts for all.
func (r *Report) clients(order []string) []client {
	var out []client
	for _, name := range order {
		c := client{name: name, version: "-"}
		for _, res := range r.results {
			if res.Client != name {
				continue
			}
			if res.Version != "-" && res.Version != "" {
				c.version = res.Version
			}
			c.results = append(c.results, res)
		}
		if len(c.results) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// Table shows the counts by client and what did not pass.
func (r *Report) Table(order []string) {
	t := table.NewWriter()
	t.SetOutputMirror(r.Out)
	t.AppendHeader(table.Row{"client", "version", "passed", "failed", "skipped"})
	for _, c := range r.clients(order) {
		p, f, s := count(c.results)
		t.AppendRow(table.Row{c.name, c.version, p, f, s})
	}
	t.Render()
}

// Page is the table of every case in Markdown.
func (r *Report) Page(order []string, revision string, at time.Time) string {
	var b strings.Builder
	p, f, s := r.Counts()
	_, _ = fmt.Fprintf(&b, `# Conformance

Third-party clients, unmodified, against `+"`lockstep serve`"+`. This page is written by `+"`make conformance`"+` and by nothing else;
[tools/conformance](../tools/conformance/README.md) says how it comes about. A case that has to be refused passes on the
refusal that it expects, and on no other.

Run at %s on revision %s: %d passed, %d failed, %d skipped.

| client | version | passed | failed | skipped |
|---|---|---|---|---|
`, at.UTC().Format("2006-01-02 15:04 UTC"), revision, p, f, s)
	all := r.clients(order)
	for _, c := range all {
		p, f, s := count(c.results)
		_, _ = fmt.Fprintf(&b, "| %s | %s | %d | %d | %d |\n", cell(c.name), cell(c.version), p, f, s)
	}
	for _, c := range all {
		_, _ = fmt.Fprintf(&b, "\n## %s %s\n\n| case | verdict | what was seen |\n|---|---|---|\n", cell(c.name), cell(c.version))
		for _, res := range c.results {
			_, _ = fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(res.Case), res.Verdict, cell(res.Reason))
		}
	}
	return b.String()
}

// cell makes text safe for a table: what a server or a client said is shown, never
// read as markup.
func cell(s string) string {
	if s == "" {
		return ""
	}
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`, "`", "'", "*", `\*`, "_", `\_`).Replace(s)
}

// Order is every client that has a result, the known ones first.
func (r *Report) Order(known []string) []string {
	order := slices.Clone(known)
	for _, c := range r.results {
		if !slices.Contains(order, c.Client) {
			order = append(order, c.Client)
		}
	}
	return order
}
