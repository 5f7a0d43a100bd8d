package whatif

import (
	"fmt"
	"slices"
	"strings"
)

// Row is what several cells have in common: a line of the table.
type Row struct {
	User       string
	Credential Credential
	Mode       Mode
	// Devices and Apps for which it is so; all apps of the run are one word.
	Devices []DeviceState
	Apps    []string
	Desktop Desktop
	// Says how it ended in a line; Why is what was told about a refusal, or empty.
	Says, Why string
	Cells     int
}

// Summary puts cells that ended alike into one line each: by user, credential and
// mode, with devices together on which every application ended alike.
func Summary(ran []Ran) []Row {
	says := make([]string, len(ran))
	for i, r := range ran {
		says[i] = r.Outcome.Line()
	}
	return summary(ran, says)
}

// Changes does the same with what changes.
func Changes(all []Change) []Row {
	ran, says := make([]Ran, len(all)), make([]string, len(all))
	for i, c := range all {
		ran[i], says[i] = Ran{Cell: c.Cell, Outcome: c.New}, c.Old.Line()+"\n-> "+c.New.Line()
		if c.Old.Desktop != c.New.Desktop {
			says[i] += fmt.Sprintf("\ndesktop %s -> %s", c.Old.Desktop, c.New.Desktop)
		}
	}
	return summary(ran, says)
}

// block is a user with a credential in a mode on a device.
type block struct {
	user       string
	device     DeviceState
	credential Credential
	mode       Mode
}

func summary(ran []Ran, says []string) []Row {
	var order []block
	rows := map[block][]Row{}
	for i, r := range ran {
		b := block{r.User, r.Device, r.Credential, r.Mode}
		if _, seen := rows[b]; !seen {
			order = append(order, b)
		}
		app := r.app.ResourceName + " in " + r.app.ClientName
		at := slices.IndexFunc(rows[b], func(o Row) bool {
			return o.Says == says[i] && o.Why == r.Outcome.Why() && o.Desktop == r.Outcome.Desktop
		})
		if at >= 0 {
			rows[b][at].Apps, rows[b][at].Cells = append(rows[b][at].Apps, app), rows[b][at].Cells+1
			continue
		}
		rows[b] = append(rows[b], Row{
			User: r.User, Credential: r.Credential, Mode: r.Mode, Devices: []DeviceState{r.Device}, Apps: []string{app},
			Desktop: r.Outcome.Desktop, Says: says[i], Why: r.Outcome.Why(), Cells: 1,
		})
	}
	for _, all := range rows {
		if len(all) == 1 && len(all[0].Apps) > 1 {
			all[0].Apps = []string{fmt.Sprintf("all %d", len(all[0].Apps))}
		}
	}
	return together(order, rows)
}

// together joins the devices of a user, a credential and a mode on which everything
// ended alike.
func together(order []block, rows map[block][]Row) []Row {
	var out []Row
	done := map[block]bool{}
	for i, b := range order {
		if done[b] {
			continue
		}
		first := rows[b]
		for _, other := range order[i+1:] {
			if done[other] || other.user != b.user || other.credential != b.credential || other.mode != b.mode || !alike(first, rows[other]) {
				continue
			}
			done[other] = true
			for n := range first {
				first[n].Devices = append(first[n].Devices, other.device)
				first[n].Cells += rows[other][n].Cells
			}
		}
		out = append(out, first...)
	}
	return out
}

func alike(a, b []Row) bool {
	return slices.EqualFunc(a, b, func(x, y Row) bool {
		return x.Says == y.Says && x.Why == y.Why && x.Desktop == y.Desktop && slices.Equal(x.Apps, y.Apps)
	})
}

// String says it whole.
func (o Outcome) String() string {
	if why := o.Why(); why != "" {
		return o.Line() + ": " + why
	}
	return o.Line()
}

// Why is what was told about a refusal: what the page told the user to do instead
// says more than the words of the code. It is empty for who got in.
func (o Outcome) Why() string {
	switch {
	case o.Result != Refused:
		return ""
	case o.Guidance != "":
		return o.Guidance
	default:
		return o.Reason
	}
}

// Line says how it ended, without why.
func (o Outcome) Line() string {
	asked := ""
	if len(o.Asked) > 0 {
		asked = "asked for " + strings.Join(o.Asked, ", ")
	}
	switch {
	case o.Result == Silent:
		return "silent"
	case o.Result == Asked:
		return asked + ", then in"
	}
	said := "refused"
	if o.Code != 0 {
		said += fmt.Sprintf(" AADSTS%d", o.Code)
	}
	if len(o.RefusedBy) > 0 {
		said += " by " + strings.Join(o.RefusedBy, ", ")
	}
	if asked != "" {
		said = asked + ", then " + said
	}
	return said
}
