package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

const (
	// boxWidth and labelWidth are those of dsregcmd.
	boxWidth   = 70
	labelWidth = 26
)

// Text writes sections as dsregcmd /status does: a box with the title, then labels that
// end at one column.
func Text(w io.Writer, sections []Section) error {
	var b bytes.Buffer
	edge := "+" + strings.Repeat("-", boxWidth) + "+\n"
	for _, s := range sections {
		fmt.Fprintf(&b, "\n%s| %-*s|\n%s\n", edge, boxWidth-1, s.Title, edge)
		writeEntries(&b, s.Entries)
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(w)
	return err
}

func writeEntries(b *bytes.Buffer, entries []Entry) {
	for _, e := range entries {
		fmt.Fprintf(b, "%*s : %s\n", labelWidth, e.Label, e.Value)
		writeEntries(b, e.Fields)
	}
}

// JSON writes the same as one object: a member for each section, in it a member for each
// label, all values text as on the screen. An entry with lines below it is an object whose
// member value is its own.
func JSON(w io.Writer, sections []Section) error {
	var flat bytes.Buffer
	flat.WriteByte('{')
	for i, s := range sections {
		comma(&flat, i)
		member(&flat, s.Title)
		object(&flat, s.Entries)
	}
	flat.WriteByte('}')
	var out bytes.Buffer
	if err := json.Indent(&out, flat.Bytes(), "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := out.WriteTo(w)
	return err
}

func object(b *bytes.Buffer, entries []Entry) {
	b.WriteByte('{')
	for i, e := range entries {
		comma(b, i)
		member(b, e.Label)
		if len(e.Fields) == 0 {
			text(b, e.Value)
			continue
		}
		object(b, append([]Entry{{Label: "value", Value: e.Value}}, e.Fields...))
	}
	b.WriteByte('}')
}

func comma(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

func member(b *bytes.Buffer, label string) {
	text(b, Snake(label))
	b.WriteByte(':')
}

func text(b *bytes.Buffer, s string) {
	raw, _ := json.Marshal(s) // text is always JSON
	b.Write(raw)
}
