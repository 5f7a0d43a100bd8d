package diagram

import (
	"slices"
	"strings"
)

const (
	// apart is how far lifelines stand from each other at least, in columns.
	apart = 12
	// saidWidth is where the words beside an arrow wrap, in columns.
	saidWidth = 50
)

// Text draws with box-drawing characters, the words at the right.
func (d Diagram) Text() string {
	var b strings.Builder
	b.WriteString(d.Title + "\n" + d.Note + "\n")
	if len(d.Arrows) == 0 {
		b.WriteString("\nnothing to draw\n")
		return b.String()
	}
	b.WriteByte('\n')
	at := d.columns()
	names, components := blank(at, ' '), blank(at, ' ')
	for i, p := range d.Lifelines {
		write(names, at[i], p.Name)
		if p.Component != p.Name {
			write(components, at[i], p.Component)
		}
	}
	for _, line := range [][]rune{names, components, blank(at, '│')} {
		if text := strings.TrimRight(string(line), " "); text != "" {
			b.WriteString(text + "\n")
		}
	}
	for _, a := range d.Arrows {
		d.row(&b, at, a)
	}
	b.WriteString(strings.TrimRight(string(blank(at, '│')), " ") + "\n")
	return b.String()
}

// columns are where the lifelines stand. Names have room, and so has an arrow.
func (d Diagram) columns() []int {
	half := func(i int) int {
		return (max(len(d.Lifelines[i].Name), len(d.Lifelines[i].Component)) + 1) / 2
	}
	at := make([]int, len(d.Lifelines))
	at[0] = half(0)
	for i := 1; i < len(at); i++ {
		at[i] = at[i-1] + max(apart, half(i-1)+half(i)+2)
	}
	return at
}

// blank is a line with a mark at each lifeline.
func blank(at []int, mark rune) []rune {
	line := []rune(strings.Repeat(" ", at[len(at)-1]+apart))
	for _, x := range at {
		line[x] = mark
	}
	return line
}

// write centres a text over a column.
func write(line []rune, at int, text string) {
	r := []rune(text)
	copy(line[max(0, at-len(r)/2):], r)
}

// row draws an arrow and its words.
func (d Diagram) row(b *strings.Builder, at []int, a Arrow) {
	said := a.What
	if a.Failed {
		said = "✗ FAILED: " + said
	}
	if t := d.took(a); t != "" {
		said += " (" + t + ")"
	}
	drawn := [][]rune{blank(at, '│')}
	if a.From == a.To {
		drawn = append(drawn, blank(at, '│'))
		loop(drawn, at[a.From], a.Letter)
	} else {
		arrow(drawn[0], at, a)
	}
	words := wrap(said, saidWidth)
	for i := range max(len(drawn), len(words)) {
		line := blank(at, '│')
		if i < len(drawn) {
			line = drawn[i]
		}
		text := string(line)
		if i < len(words) {
			text += words[i]
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
}

// arrow draws from one lifeline to another, across those between.
func arrow(line []rune, at []int, a Arrow) {
	from, to := at[a.From], at[a.To]
	left, right := min(from, to), max(from, to)
	for x := left + 1; x < right; x++ {
		line[x] = '─'
		if slices.Contains(at, x) {
			line[x] = '┼'
		}
	}
	if from < to {
		line[from], line[to-1] = '├', '▶'
	} else {
		line[from], line[to+1] = '┤', '◀'
	}
	if a.Letter != "" {
		// Beside the sender, where no lifeline crosses.
		x := from + 3
		if from > to {
			x = from - 3
		}
		copy(line[x-1:], []rune(" "+a.Letter+" "))
	}
}

// loop draws an arrow from a lifeline to itself, on two lines.
func loop(drawn [][]rune, x int, letter string) {
	copy(drawn[0][x:], []rune("├───┐"))
	copy(drawn[1][x:], []rune("│◀──┘"))
	if letter != "" {
		copy(drawn[0][x+1:], []rune(" "+letter+" "))
	}
}
