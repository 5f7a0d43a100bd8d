package softtpm

// PowerCycle is what happens to a chip when its power goes and comes back
// (_TPM_Init, Part 1, 12.2): transient objects, sessions, PCRs and the
// platform's authorization are gone, non-volatile state stays, and the next
// command must be TPM2_Startup. A failure mode that [TPM.Fail] switched on
// stays on. The only error is ErrClosed.
func (t *TPM) PowerCycle() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	t.reset()
	t.started = false
	return nil
}
