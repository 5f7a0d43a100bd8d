// Package softtpm is a TPM 2.0 in pure Go behind go-tpm's transport.TPM
// interface: bytes of a TPM command in, bytes of the TPM response out.
//
// It is an emulator and says so (manufacturer "SOFT"). Every seed and key lies
// in the memory of the process, and the saved state holds the seeds in the
// clear. It gives the command set, the rules and the error codes of a TPM, so
// that the code above it is the same for a chip and for this; it does not give
// the isolation of a chip. Whoever reads the memory of the process or the state
// file owns the keys. A relying party must be able to tell it from hardware,
// so its endorsement certificate never comes from a hardware CA.
//
// What lives here: the command table, key objects, sessions, policies, the
// dictionary-attack counter and the non-volatile state of one TPM. A TPM is a
// value; a process may hold thousands. What never may: package-level state,
// goroutines, network, knowledge of devices, tokens or users.
//
// Callers: the tpm-agent opens one TPM with [OpenFile]; tests and fleets make
// volatile ones with [New].
//
// The behaviour follows the TCG "Trusted Platform Module Library", revision
// 1.38: Part 1 (architecture), Part 2 (structures), Part 3 (commands).
// Comments name the part where a rule comes from. The README lists what is
// left out.
package softtpm
