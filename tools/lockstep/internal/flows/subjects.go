package flows

import "context"

// subject carries out the commands of one subject; it answers false for a command of
// another one.
type subject func(ctx context.Context, command string, arg map[string]string) (string, bool)

// subjects are all of them, one a line, in no order that matters.
func (r *Runner) subjects() []subject {
	return []subject{
		r.everyday,
		r.atPages,
		r.onDevice,
		r.life,
		r.atWork,
		r.onTheWire,
		r.mishap,
		r.hunt,
		r.atRest,
		r.show,
		r.traces,
		r.metered,
		r.replicas,
	}
}
