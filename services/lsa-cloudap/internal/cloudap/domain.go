package cloudap

// pending is the wait for a PRT.
type pending struct{ end chan struct{} }

// stop ends the wait; CloudAP.mu is held. nil has nothing to end.
func (p *pending) stop() {
	if p != nil {
		close(p.end)
	}
}
