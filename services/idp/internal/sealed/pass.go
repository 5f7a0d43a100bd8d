package sealed

import "time"

// PassEnded says that the Temporary Access Pass behind it is over, and with the pass
// all that came of it: a PRT is told a longer life and dies earlier, as at the
// public service, or whoever uses a pass once would be in for as long as PRTs live.
func (d Details) PassEnded(now time.Time) bool {
	return d.PassEnds != 0 && !now.Before(time.Unix(d.PassEnds, 0))
}
