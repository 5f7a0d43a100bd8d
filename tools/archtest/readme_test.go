package archtest

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	inlineLink    = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)`)
	referenceLink = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)`)
	inlineCode    = regexp.MustCompile("`[^`]*`")
)

// A link that leads nowhere tells the reader that the rest is stale too.
func brokenLinks(r *Repo) (bad []string) {
	for p, text := range r.Text {
		if path.Ext(p) != ".md" {
			continue
		}
		fenced := false
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if fenced {
				continue
			}
			line = inlineCode.ReplaceAllString(line, "`")
			links := append(inlineLink.FindAllStringSubmatch(line, -1), referenceLink.FindAllStringSubmatch(line, -1)...)
			for _, m := range links {
				if why := linkFault(r, p, m[1]); why != "" {
					bad = append(bad, fmt.Sprintf("%s:%d: %s: %s", p, i+1, m[1], why))
				}
			}
		}
	}
	return bad
}

func linkFault(r *Repo, from, link string) string {
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(link, "#")
	if strings.HasPrefix(file, "/") {
		return "a link is relative, or it works on one site only"
	}
	to := path.Join(path.Dir(from), file)
	if file == "" {
		to = from
	}
	if strings.HasPrefix(to, "..") {
		return "leads out of the repository"
	}
	text, ok := r.Text[to]
	if !ok && !r.has(to+"/") {
		return "leads nowhere"
	}
	if anchor != "" && path.Ext(to) == ".md" && !headings(text)[anchor] {
		return "no heading has that anchor"
	}
	return ""
}

// has says whether a file lies below the folder.
func (r *Repo) has(folder string) bool {
	if folder == "./" {
		return true
	}
	for p := range r.Text {
		if strings.HasPrefix(p, folder) {
			return true
		}
	}
	return false
}

// headings are the anchors of a page's headings: lower case, blanks as dashes,
// letters, digits, dashes and underscores only.
func headings(text string) map[string]bool {
	anchors := map[string]bool{}
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		title := strings.TrimLeft(line, "#")
		if fenced || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		anchors[strings.Map(func(c rune) rune {
			switch {
			case c == ' ':
				return '-'
			case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c > 127:
				return c
			}
			return -1
		}, strings.ToLower(strings.TrimSpace(title)))] = true
	}
	return anchors
}

// A service's page says what it is in Windows, who may call, what crosses the
// door and what never, what happens when the next one is down, where to read on.
// Two libraries are large enough to need one as well.
func missingPages(r *Repo) (bad []string) {
	need := map[string]bool{"pkg/softtpm": true, "pkg/entrawire": true}
	for _, f := range r.Go {
		if s := Service(f.Dir()); s != "" {
			need["services/"+s] = true
		}
	}
	for dir := range need {
		if _, ok := r.Text[dir+"/README.md"]; !ok && r.has(dir+"/") {
			bad = append(bad, dir+" has no README.md")
		}
	}
	return bad
}

func TestPages(t *testing.T) {
	holds(t, brokenLinks)
	holds(t, missingPages)
	finds(t, brokenLinks, files{
		"a/README.md": "# Two words, here\n[ok](../b.md#top) [ok](#two-words-here) [ok](../a) [ok](https://x.test/y)\n" +
			"[no](c.md) [no](../b.md#gone) [no](../../out.md) [no](/b.md)\n`[code](c.md)`\n```\n[code](c.md)\n```\n[ref]: d.md\n",
		"b.md": "# Top\n",
	},
		"a/README.md:3: c.md: leads nowhere",
		"a/README.md:3: ../b.md#gone: no heading has that anchor",
		"a/README.md:3: ../../out.md: leads out of the repository",
		"a/README.md:3: /b.md: a link is relative, or it works on one site only",
		"a/README.md:8: d.md: leads nowhere")
	finds(t, missingPages, files{"services/x/internal/y/y.go": "package y", "services/z/z.go": "package z", "services/z/README.md": ""},
		"services/x has no README.md")
}
