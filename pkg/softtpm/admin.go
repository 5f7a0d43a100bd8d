package softtpm

import (
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// startup is TPM2_Startup (Part 3, 9.3). Only CLEAR is offered: nothing is
// kept from before, so STATE has nothing to resume.
func startup(c *call) rcode {
	kind := tpm2.TPMSU(c.in.u16())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if kind != tpm2.TPMSUClear {
		return rcValue.param(1)
	}
	orderly := c.t.nv.orderly
	if rc := c.t.update(func(nv *nvState) {
		nv.resets++
		restartIndexes(nv)
	}); rc != rcSuccess {
		return rc
	}
	c.t.started, c.t.orderly = true, orderly
	return rcSuccess
}

// shutdown is TPM2_Shutdown (Part 3, 9.4). Every change is saved when it is
// made, so it saves the clock, and that the end was orderly.
func shutdown(c *call) rcode {
	kind := tpm2.TPMSU(c.in.u16())
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	if kind != tpm2.TPMSUClear && kind != tpm2.TPMSUState {
		return rcValue.param(1)
	}
	return c.t.update(func(nv *nvState) { nv.orderly = true })
}

// selfTest is TPM2_SelfTest. The Go crypto libraries run their own tests at
// program start; there is no hardware to test.
func selfTest(c *call) rcode {
	c.in.yesNo()
	return c.in.end()
}

// getTestResult is TPM2_GetTestResult: no data, and success.
func getTestResult(c *call) rcode {
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	c.put2B(nil)
	c.out = be.AppendUint32(c.out, uint32(rcSuccess))
	return rcSuccess
}

// getRandom is TPM2_GetRandom: at most 64 bytes a call, fewer than asked for
// is not an error (Part 3, 16.1).
func getRandom(c *call) rcode {
	n := c.in.u16()
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	c.put2B(random(min(int(n), randomPerCall)))
	return rcSuccess
}

// stirRandom is TPM2_StirRandom (Part 3, 16.2). The system's generator needs no
// help; the data is taken and has no effect.
func stirRandom(c *call) rcode {
	c.in.sized(maxSealed)
	return c.in.end()
}

// incrementalSelfTest is TPM2_IncrementalSelfTest (Part 3, 10.3): nothing is
// left to test, whatever is asked for.
func incrementalSelfTest(c *call) rcode {
	c.in.group(func(r *reader) rcode {
		n := r.u32()
		if n > 64 {
			return rcSize
		}
		for range n {
			alg := r.u16()
			if !r.bad && !slices.ContainsFunc(algorithmItems(), func(i item) bool { return i.key == uint32(alg) }) {
				return rcValue
			}
		}
		if r.bad {
			return rcInsufficient
		}
		return rcSuccess
	})
	if rc := c.in.end(); rc != rcSuccess {
		return rc
	}
	c.out = be.AppendUint32(c.out, 0)
	return rcSuccess
}

// testParms is TPM2_TestParms (Part 3, 30.3): would a key of these parameters
// be made?
func testParms(c *call) rcode {
	c.in.group(func(r *reader) rcode {
		p := publicArea{typ: r.u16(), sym: algNull, scheme: algNull}
		if r.bad {
			return rcInsufficient
		}
		if rc := p.parseParms(r); rc != rcSuccess {
			return rc
		}
		return p.checkSize()
	})
	return c.in.end()
}
