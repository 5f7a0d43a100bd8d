package device

import "fmt"

// Policy is what the operator says about keys in software.
type Policy string

// The policies.
const (
	// Allow makes keys in software when there is no usable TPM.
	Allow Policy = "allow"
	// Refuse makes keys in the TPM or not at all. Keys that were made in software
	// before count as lost.
	Refuse Policy = "refuse"
	// Only makes keys in software and leaves the TPM alone. Keys that were made in
	// the TPM before count as lost.
	Only Policy = "only"
)

func (p Policy) check() error {
	switch p {
	case "", Allow, Refuse, Only:
		return nil
	}
	return fmt.Errorf("setting software-keys is %q: use allow, refuse or only", string(p))
}

// Condition is how the configured TPM was found.
type Condition int

// The conditions.
const (
	// Usable is a TPM 2.0 that answers.
	Usable Condition = iota + 1
	// Absent is nothing there to talk to.
	Absent
	// OldFamily is a TPM 1.2, which is never used for these keys: like none.
	OldFamily
	// Failing is a TPM that answers nothing, or failure, to every command.
	Failing
)

// String says it in words that fit behind "the TPM is".
func (c Condition) String() string {
	switch c {
	case Usable:
		return "usable"
	case Absent:
		return "absent"
	case OldFamily:
		return "not of family 2.0"
	case Failing:
		return "failing"
	default:
		return "not known"
	}
}

// Keys is where the keys on disk were made.
type Keys string

// Where keys may have been made.
const (
	NoKeys         Keys = ""
	KeysInTPM      Keys = "tpm"
	KeysInSoftware Keys = "software"
)

// Choice is which TPM the agent uses.
type Choice int

const (
	useTPM Choice = iota + 1
	// useBoth is the TPM for new keys, and the software key store for those that
	// were made in it and have not moved yet.
	useBoth
	// failedTPM is the configured TPM that does not work now: every command is an
	// error until it does.
	failedTPM
	useSoftware
)

// String names the choice for the log.
func (c Choice) String() string {
	switch c {
	case useTPM:
		return "the TPM"
	case useBoth:
		return "the TPM, and the software key store for the keys in it"
	case failedTPM:
		return "the TPM, which has failed"
	case useSoftware:
		return "the software key store"
	default:
		return "nothing"
	}
}

// Choose decides where keys are.
//
//	policy | keys on disk | TPM usable | TPM absent, 1.2 or failing
//	allow  | none         | TPM        | software
//	allow  | in the TPM   | it         | failed TPM
//	allow  | in software  | both       | software
//	refuse | any          | TPM        | failed TPM
//	only   | any          | software   | the same
//
// A failed TPM never becomes software keys by itself: who can silence a TPM for a
// moment would otherwise get a device with keys that can be copied.
func Choose(p Policy, cond Condition, found Keys) Choice {
	switch {
	case p == Only:
		return useSoftware
	case p != Refuse && found == KeysInSoftware && cond == Usable:
		return useBoth
	case cond == Usable:
		return useTPM
	case p != Refuse && found != KeysInTPM:
		return useSoftware
	default:
		return failedTPM
	}
}
