//go:build mssim

package main

import "github.com/google/go-tpm-tools/simulator"

// mssim is Microsoft's reference simulator in this process. It is one set of
// global variables in C, so there is one of it.
type mssim struct{ sim *simulator.Simulator }

func openMSSIM() (target, error) {
	sim, err := simulator.Get()
	return &mssim{sim}, err
}

func (*mssim) Name() string   { return "mssim" }
func (m *mssim) Renew() error { return m.sim.ManufactureReset() }
func (m *mssim) Cycle() error { return m.sim.Reset() }
func (m *mssim) Close() error { return m.sim.Close() }

func (m *mssim) Send(cmd []byte) ([]byte, error) {
	if _, err := m.sim.Write(cmd); err != nil {
		return nil, err
	}
	rsp := make([]byte, 4096)
	n, err := m.sim.Read(rsp)
	return rsp[:n], err
}
