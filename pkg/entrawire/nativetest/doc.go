// Package nativetest is the device's half of native session keys, for tests: any
// TPM, a storage key in it, and what a device does with a session key that was
// wrapped for it.
//
// What lives here: TPM commands in their plain form, one at a time and without
// sessions, so that a test can say with a TPM what the product must agree with.
// What never may: anything the product calls. Tests of the wire format and of the
// identity provider call it; the tpm-agent has a way of its own, and that the two
// agree is worth something only as long as they share nothing.
package nativetest
