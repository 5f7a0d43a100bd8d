package sealed

import (
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
)

// Aged is the artefact as it counts now, when what was shown at a page beside a first
// factor counts for life; 0 is for ever. Such a proof is an imprint: it is not made
// longer by use (source documents s2, s3), so that after its life the artefact says
// what the first factor says. A method that is more than one factor by itself has no
// life of its own: it ends with what was made of it.
func (a Artefact) Aged(now time.Time, life time.Duration) Artefact {
	if life <= 0 || a.MFATime == 0 || a.Credential == Hello || now.Sub(time.Unix(a.MFATime, 0)) <= life {
		return a
	}
	before := methods.Names(a.Used)
	a.Used = slices.DeleteFunc(slices.Clone(a.Used), func(u methods.Used) bool {
		f, _ := methods.Of(u.Method)
		return f.Kind == methods.Possession
	})
	left := methods.Names(a.Used)
	gone := slices.DeleteFunc(methods.AMR(before), func(v string) bool { return slices.Contains(methods.AMR(left), v) })
	if !methods.MultiFactor(left) {
		gone = append(gone, "mfa")
	}
	a.AMR = slices.DeleteFunc(slices.Clone(a.AMR), func(v string) bool { return v == "ngcmfa" || slices.Contains(gone, v) })
	a.MFATime, a.MFAKept = 0, 0
	if t := methods.FactorTime(a.Used); !t.IsZero() {
		a.MFATime = t.Unix()
	}
	return a
}
