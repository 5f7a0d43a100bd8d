package diagram

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Measures of the picture, in pixels.
const (
	side    = 96  // from the edge to the first and the last lifeline
	gap     = 178 // between lifelines
	top     = 64  // above the heads
	head    = 44  // height of a head
	boxWide = 150 // width of a head
	lead    = 16  // from one line of words to the next
	letter  = 6.6 // width of a character of the words, on average
	badge   = 11  // radius of the circle round a letter
)

// style has the colours for a light and for a dark background. A viewer without style
// sheets draws in black.
const style = `
.paper{fill:#ffffff}.title{fill:#1f2328;font-size:18px;font-weight:600}.note{fill:#59636e;font-size:12px}
.box{fill:#eef2f6;stroke:#818b98}.name{fill:#1f2328;font-size:14px;font-weight:600}.component{fill:#59636e;font-size:12px}
.life{stroke:#818b98;stroke-dasharray:4 4}.line{stroke:#0b5cad;stroke-width:1.6;fill:none}.tip{fill:#0b5cad}
.badge{fill:#0b5cad}.letter{fill:#ffffff;font-size:13px;font-weight:700}
.said{fill:#1f2328;font-size:13px;paint-order:stroke;stroke:#ffffff;stroke-width:5px;stroke-linejoin:round}
.took{fill:#59636e;font-size:11px}.hop .line{stroke:#818b98;stroke-width:1.2}.hop .tip{fill:#818b98}.hop .said{fill:#59636e;font-size:12px}
.failed .line{stroke:#b42318}.failed .tip,.failed .badge{fill:#b42318}.failed .said{fill:#b42318}
@media (prefers-color-scheme:dark){
.paper{fill:#0d1117}.title,.name{fill:#f0f6fc}.note,.component,.took{fill:#9198a1}.box{fill:#1c2430;stroke:#656c76}
.life{stroke:#656c76}.line{stroke:#58a6ff}.tip,.badge{fill:#58a6ff}.letter{fill:#0d1117}.said{fill:#f0f6fc;stroke:#0d1117}
.hop .line{stroke:#656c76}.hop .tip{fill:#656c76}.hop .said{fill:#9198a1}
.failed .line{stroke:#ff7b72}.failed .tip,.failed .badge{fill:#ff7b72}.failed .said{fill:#ff7b72}
}
`

// SVG draws a picture that needs nothing else: no script, no font, no other file. It has
// a title and a description for those who do not see it.
func (d Diagram) SVG() string {
	s := &svg{d: d, y: top + head}
	for _, a := range d.Arrows {
		s.arrow(a)
	}
	bottom := s.y + 28
	width := 2*side + gap*max(1, len(d.Lifelines)-1)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif">`+"\n",
		width, bottom+12, width, bottom+12)
	fmt.Fprintf(&b, "<title id=\"title\">%s</title>\n<desc id=\"desc\">%s</desc>\n<style>%s</style>\n", escaped(d.Title), escaped(d.described()), style)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d"/>`+"\n", width, bottom+12)
	fmt.Fprintf(&b, `<text class="title" x="20" y="28">%s</text><text class="note" x="20" y="48">%s</text>`+"\n", escaped(d.Title), escaped(d.Note))
	for i, p := range d.Lifelines {
		lifeline(&b, x(i), bottom, p)
	}
	b.WriteString(s.b.String() + "</svg>\n")
	return b.String()
}

// described is the picture in sentences.
func (d Diagram) described() string {
	var lines []string
	for _, a := range d.Arrows {
		lines = append(lines, d.words(a)+".")
	}
	return strings.Join(lines, " ")
}

// x is where a lifeline stands.
func x(i int) int { return side + gap*i }

func lifeline(b *strings.Builder, x, bottom int, p Lifeline) {
	fmt.Fprintf(b, `<line class="life" x1="%d" y1="%d" x2="%d" y2="%d"/><rect class="box" x="%d" y="%d" width="%d" height="%d" rx="6"/>`,
		x, top+head, x, bottom, x-boxWide/2, top, boxWide, head)
	y := top + head/2 + 5
	if p.Component != p.Name {
		y -= 8
		fmt.Fprintf(b, `<text class="component" x="%d" y="%d" text-anchor="middle">%s</text>`, x, y+17, escaped(p.Component))
	}
	fmt.Fprintf(b, `<text class="name" x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", x, y, escaped(p.Name))
}

// svg is the body of a picture while it grows downwards.
type svg struct {
	d Diagram
	b strings.Builder
	y int
}

// arrow draws one below what there is: its words, then the line.
func (s *svg) arrow(a Arrow) {
	class := "step"
	if a.Letter == "" {
		class = "hop"
	}
	if a.Failed {
		class += " failed"
	}
	fmt.Fprintf(&s.b, `<g class="%s">`, class)
	from, to := x(a.From), x(a.To)
	said := a.What
	if a.Failed {
		said = "✗ failed: " + said
	}
	middle, wide := (from+to)/2, max(abs(to-from)-36, 210)
	if from == to {
		middle = from
	}
	words := wrap(said, int(float64(wide)/letter))
	middle = s.inside(middle, words)
	s.y += 18
	for _, line := range words {
		s.y += lead
		fmt.Fprintf(&s.b, `<text class="said" x="%d" y="%d" text-anchor="middle">%s</text>`, middle, s.y, escaped(line))
	}
	s.y += badge + 5
	if from == to {
		s.loop(from)
	} else {
		s.straight(from, to)
	}
	if a.Letter != "" {
		fmt.Fprintf(&s.b, `<circle class="badge" cx="%d" cy="%d" r="%d"/><text class="letter" x="%d" y="%d" text-anchor="middle">%s</text>`,
			from, s.y, badge, from, s.y+5, escaped(a.Letter))
	}
	if t := s.d.took(a); t != "" {
		s.took(from, to, t)
	}
	s.b.WriteString("</g>\n")
	if from == to {
		s.y += 18
	}
}

// inside moves the middle of the words so that none of them leaves the picture.
func (s *svg) inside(middle int, words []string) int {
	half := 0
	for _, w := range words {
		half = max(half, int(float64(len([]rune(w)))*letter/2))
	}
	right := 2*side + gap*max(1, len(s.d.Lifelines)-1) - 8
	return max(min(middle, right-half), 8+half)
}

func (s *svg) straight(from, to int) {
	tip := -9
	if to < from {
		tip = 9
	}
	fmt.Fprintf(&s.b, `<line class="line" x1="%d" y1="%d" x2="%d" y2="%d"/><path class="tip" d="M%d %dl%d -5v10z"/>`, from, s.y, to+tip, s.y, to, s.y, tip)
}

func (s *svg) loop(x int) {
	fmt.Fprintf(&s.b, `<path class="line" d="M%d %dh34v18h-25"/><path class="tip" d="M%d %dl9 -5v10z"/>`, x, s.y, x, s.y+18)
}

// took says the time below the line, at the end of it.
func (s *svg) took(from, to int, t string) {
	at, anchor := to-12, "end"
	switch {
	case from == to:
		at, anchor = from+40, "start"
	case to < from:
		at, anchor = to+12, "start"
	}
	fmt.Fprintf(&s.b, `<text class="took" x="%d" y="%d" text-anchor="%s">%s</text>`, at, s.y+14, anchor, escaped(t))
}

func abs(n int) int { return max(n, -n) }

// escaped is a text that stands in XML.
func escaped(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		return "" // a Builder does not fail
	}
	return b.String()
}
