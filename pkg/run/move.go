package run

import "fmt"

// Move has the component serve at another address from now on and no more at the one
// before. Everything that it knows stays, and callers are told before their connections
// end, as Stop does. A laboratory does this when a stand-in takes the component's place.
func (r *Running) Move(addr string) error {
	next, err := r.newServer()
	if err != nil {
		return err
	}
	l, err := r.env.network.Listen(addr)
	if err != nil {
		return fmt.Errorf("move to %s: %w", addr, err)
	}
	r.moving.Lock()
	before := r.server
	r.server = next
	r.serve(next, l)
	r.moving.Unlock()
	drain(before)
	return nil
}
