package flows

import "context"

// subject carries out the commands of one subject; it answers false for a command of
// another one.
type subject func(ctx context.Context, command string, arg map[string]string) (string, bool)

// subjects are those that have a file of their own, one a line.
func (r *Runner) subjects() []subject {
	return []subject{
		r.traces,
		r.show,
		r.atRest,
		r.life,
		r.atWork,
		r.onTheWire,
		r.mishap,
		r.hunt,
		r.atRest,
	}
}

// further carries out a command of one of the subjects, or one at the pages.
func (r *Runner) further(ctx context.Context, command string, arg map[string]string) string {
	for _, s := range r.subjects() {
		if out, known := s(ctx, command, arg); known {
			return out
		}
	}
	return r.atPages(ctx, command, arg)
}
