package status

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// The words of dsregcmd /status for what is, is not, and cannot be told.
const (
	yes     = "YES"
	no      = "NO"
	unknown = "Unknown"
	broken  = "ERROR"
)

// Entry is one line: a label and its value. Fields stand below it.
type Entry struct {
	Label, Value string
	Fields       []Entry
}

// Section is a title with its lines.
type Section struct {
	Title   string
	Entries []Entry
}

// field is one row of the table: from facts to a value. The second result is false where
// the line is not shown.
type field struct {
	label string
	value func(*view) (string, bool)
	below func(*view) []Entry
}

// section is one section of the table.
type section struct {
	title  string
	shown  func(*view) bool
	fields []field
}

// view is what the table reads: the facts, and what follows of them for the user shown.
type view struct {
	Facts
	user *user
}

// Status makes the sections of the facts, in the order of dsregcmd /status and then ours.
// Text and JSON are two forms of what it returns.
func Status(f Facts) []Section {
	v := &view{Facts: f, user: f.chosen()}
	var out []Section
	for _, s := range sections() {
		if !s.shown(v) {
			continue
		}
		made := Section{Title: s.title}
		for _, one := range s.fields {
			value, shown := one.value(v)
			if !shown {
				continue
			}
			e := Entry{Label: one.label, Value: value}
			if one.below != nil {
				e.Fields = one.below(v)
			}
			made.Entries = append(made.Entries, e)
		}
		out = append(out, made)
	}
	out = append(out, missingSection(f)...)
	for _, s := range out {
		clean(s.Entries)
	}
	return out
}

// clean puts every value on one line, whatever a component said.
func clean(entries []Entry) {
	for i := range entries {
		entries[i].Value = line(entries[i].Value)
		clean(entries[i].Fields)
	}
}

// sections is the table. Titles and labels are those of dsregcmd /status (Microsoft Learn,
// "Troubleshoot devices by using the dsregcmd command") up to "Ngc Prerequisite Check",
// whose documented order this is; what follows is ours.
func sections() []section {
	return []section{
		deviceState(), deviceDetails(), tenantDetails(), userState(), workAccount(), ssoState(),
		preJoinDiagnostics(), postJoinDiagnostics(), ngcPrerequisites(), credentialState(), cacheState(),
	}
}

// always shows a value, whatever it is.
func always(value func(*view) string) func(*view) (string, bool) {
	return func(v *view) (string, bool) { return value(v), true }
}

// filled shows a value unless it is empty.
func filled(value func(*view) string) func(*view) (string, bool) {
	return func(v *view) (string, bool) {
		s := value(v)
		return s, s != ""
	}
}

// fixed is a value that this system cannot have otherwise.
func fixed(s string) func(*view) (string, bool) {
	return func(*view) (string, bool) { return s, true }
}

func yesNo(b bool) string {
	if b {
		return yes
	}
	return no
}

// utc is a time as dsregcmd writes it.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

// stamp is a time that may be missing.
func stamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return utc(t.AsTime())
}

// hex is a Windows code as dsregcmd writes it.
func hex(code uint32) string { return fmt.Sprintf("0x%x", code) }

// Snake is the JSON name of a label: "AzureAdPrt" is azure_ad_prt, "HTTP status" is
// http_status.
func Snake(label string) string {
	var b strings.Builder
	runes := []rune(label)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "_") {
				b.WriteByte('_')
			}
			continue
		case unicode.IsUpper(r) && i > 0 && !strings.HasSuffix(b.String(), "_"):
			lower := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			begins := unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if lower || begins {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Trim(b.String(), "_")
}
