package softtpm_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// A TPM in memory, its storage root key, and the same key after a restart.
func Example() {
	rootName := func(cfg softtpm.Config) (name, state []byte, err error) {
		tpm, err := softtpm.New(cfg)
		if err != nil {
			return nil, nil, err
		}
		defer func() { _ = tpm.Close() }()
		if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
			return nil, nil, err
		}
		srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
		if err != nil {
			return nil, nil, err
		}
		state, err = tpm.Marshal()
		return srk.Name.Buffer, state, err
	}
	first, state, err := rootName(softtpm.Config{})
	if err != nil {
		log.Fatal(err)
	}
	second, _, err := rootName(softtpm.Config{State: state})
	if err != nil {
		log.Fatal(err)
	}
	other, _, err := rootName(softtpm.Config{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("same after a restart:", bytes.Equal(first, second))
	fmt.Println("same in another TPM:", bytes.Equal(first, other))
	// Output:
	// same after a restart: true
	// same in another TPM: false
}
