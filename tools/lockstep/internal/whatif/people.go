package whatif

import (
	_ "embed" // the people of the lattice
	"slices"
)

//go:embed people.yaml
var peopleFile []byte

// People is the embedded tenant file: one user for each way to prove who one is.
func People() []byte { return slices.Clone(peopleFile) }

// peopleHold is what the embedded people have that the file cannot say.
func peopleHold() map[string][]Credential {
	return map[string][]Credential{"faye": {FIDO2}, "cleo": {Certificate}, "tess": {AccessPass}}
}
