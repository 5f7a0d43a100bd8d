package device

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

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
	return fmt.Errorf("setting software_keys is %q: use allow, refuse or only", string(p))
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
	NoKeys         Keys = "none"
	KeysInTPM      Keys = "tpm"
	KeysInSoftware Keys = "software"
)

// Choice is which TPM the agent uses.
type Choice int

const (
	useTPM Choice = iota + 1
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
//	allow  | in the TPM   | use it     | failed TPM
//	allow  | in software  | software   | as before
//	refuse | any          | TPM        | failed TPM
//	only   | any          | software   | as before
//
// A failed TPM never becomes software keys by itself: who can silence a TPM for a
// moment would otherwise get a device with keys that can be copied.
func Choose(p Policy, cond Condition, found Keys) Choice {
	switch {
	case p == Only:
		return useSoftware
	case p != Refuse && found == KeysInSoftware:
		return useSoftware
	case cond == Usable:
		return useTPM
	case p != Refuse && found == NoKeys:
		return useSoftware
	default:
		return failedTPM
	}
}

// markerFile says where the keys in the folder were made. It is there only when
// they are, or once were, in software: a folder without it has keys in the TPM.
// It changes before the first key of the other kind can be made, so that a crash
// between the two leaves no key under a wrong name.
const markerFile = "keys-in"

// keySets are the files in which the key store keeps what it made.
const keySets = "*.keyset"

// keysIn reads where the keys of a folder were made.
func keysIn(dir string) (Keys, error) {
	sets, err := filepath.Glob(filepath.Join(dir, keySets))
	if err != nil {
		return "", fmt.Errorf("key sets: %w", err)
	}
	if len(sets) == 0 {
		return NoKeys, nil
	}
	mark, err := durable.ReadFile(filepath.Join(dir, markerFile))
	switch k := Keys(mark); {
	case errors.Is(err, fs.ErrNotExist):
		return KeysInTPM, nil
	case err != nil:
		return "", fmt.Errorf("where the keys were made: %w", err)
	case k == KeysInTPM, k == KeysInSoftware:
		return k, nil
	}
	return "", fmt.Errorf("the file %s in %s is damaged: write %q or %q into it, whichever held the keys", markerFile, dir, KeysInTPM, KeysInSoftware)
}

// remember records where keys will be made from now on.
func remember(dir string, found, now Keys) error {
	path := filepath.Join(dir, markerFile)
	if found == now {
		return nil
	}
	if now == KeysInTPM {
		if _, err := durable.ReadFile(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err := durable.WriteFile(path, []byte(now), nil); err != nil {
		return fmt.Errorf("where the keys are made: %w", err)
	}
	return nil
}
