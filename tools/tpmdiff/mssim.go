//go:build mssim

package main

import (
	"strings"

	"github.com/google/go-tpm-tools/simulator"
)

// mssim is Microsoft's reference simulator in this process. It is one set of
// global variables in C, so there is one of it.
type mssim struct {
	sim    *simulator.Simulator
	failed bool // it is in failure mode and answers nothing any more
}

func openMSSIM() (target, error) {
	sim, err := simulator.Get()
	return &mssim{sim: sim}, err
}

func (*mssim) Name() string { return "mssim" }
func (m *mssim) Renew() error {
	if !m.failed {
		return m.sim.ManufactureReset()
	}
	_ = m.sim.Close() // it cannot be shut down
	m.failed = false
	sim, err := simulator.Get()
	m.sim = sim
	return err
}
func (m *mssim) Cycle() error { return m.sim.Reset() }
func (m *mssim) Close() error { return m.sim.Close() }

func (m *mssim) Send(cmd []byte) ([]byte, error) {
	rsp := make([]byte, 4096)
	n, err := m.sim.Write(cmd)
	if err == nil {
		n, err = m.sim.Read(rsp)
	}
	if err != nil && strings.Contains(err.Error(), "internal failure") {
		m.failed = true // until Renew; an answer, and one to report
		return cat(u16(tagNoSessions), u32(10), u32(0x101)), nil
	}
	return rsp[:n], err
}
