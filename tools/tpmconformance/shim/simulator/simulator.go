// Package simulator stands in for the package of the same path in
// go-tpm-tools, which go-tpm's own tests open their TPM with: behind it is
// pkg/softtpm in place of the C reference code.
//
// What lives here: the four methods that go-tpm calls. What never may: any
// difference between this TPM and the one that the product gets.
//
// Caller: github.com/google/go-tpm/tpm2/transport/simulator, in tests.
package simulator

import (
	"bytes"
	"errors"
	"io"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// Simulator is one new TPM after TPM2_Startup(CLEAR). A Write is one whole
// command; Read gives its response.
type Simulator struct {
	tpm      *softtpm.TPM
	response bytes.Buffer
}

var _ io.ReadWriteCloser = (*Simulator)(nil)

// Get makes a TPM with fresh seeds.
func Get() (*Simulator, error) {
	tpm, err := softtpm.New(softtpm.Config{})
	if err != nil {
		return nil, err
	}
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(tpm); err != nil {
		return nil, errors.Join(err, tpm.Close())
	}
	return &Simulator{tpm: tpm}, nil
}

// Write runs a command.
func (s *Simulator) Write(command []byte) (int, error) {
	r, err := s.tpm.Send(command)
	if err != nil {
		return 0, err
	}
	s.response.Write(r)
	return len(command), nil
}

// Read gives the response of the last command.
func (s *Simulator) Read(p []byte) (int, error) { return s.response.Read(p) }

// Close forgets the TPM.
func (s *Simulator) Close() error { return s.tpm.Close() }
