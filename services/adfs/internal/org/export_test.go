package org

// HoldAllSlots takes every place for a password check and does not give it back.
func (o *Organisation) HoldAllSlots() {
	for range cap(o.passwords.slots) {
		o.passwords.slots <- struct{}{}
	}
}
