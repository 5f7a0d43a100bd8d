package whatif

import "slices"

// Change is a cell whose outcome is not the same under two policy files.
type Change struct {
	Cell
	Old Outcome `json:"old"`
	New Outcome `json:"new"`
}

// Diff lists the cells whose outcome changes. Both runs are of the same cells.
func Diff(old, now []Ran) []Change {
	var all []Change
	for i, was := range old {
		if is := now[i]; !was.Outcome.same(is.Outcome) {
			all = append(all, Change{Cell: was.Cell, Old: was.Outcome, New: is.Outcome})
		}
	}
	return all
}

// same compares what a user notices, and who is behind it. The results of policies
// that change nothing for the user are not looked at.
func (o Outcome) same(other Outcome) bool {
	return o.Result == other.Result && o.Desktop == other.Desktop && o.Code == other.Code && o.Guidance == other.Guidance &&
		slices.Equal(o.Asked, other.Asked) && slices.Equal(o.RefusedBy, other.RefusedBy)
}
