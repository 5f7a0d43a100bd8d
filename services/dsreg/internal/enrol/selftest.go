package enrol

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// testTime bounds a self-test of the keys.
const testTime = 30 * time.Second

// hresultTPMInternal is the Windows code of a TPM that does not work.
const hresultTPMInternal = 0x80290407

// Health is what is known of the keys without using the TPM.
type Health struct {
	// Tested is false when there was no self-test since the start, or since the keys
	// changed; Passed is its outcome.
	Tested, Passed bool
	// Recovery says that keys are lost and the next sign-in starts recovery.
	Recovery bool
}

// Health of the device's keys.
func (e *Enroller) Health() Health {
	h := Health{Recovery: e.store.Get().KeysLost}
	if p := e.tested.Load(); p != nil {
		h.Tested, h.Passed = true, *p
	}
	return h
}

// selfTest tests the keys of the identity there is, once after a start. It takes no
// turn, because it changes nothing; only what it finds is written down in one.
func (e *Enroller) selfTest(ctx context.Context) {
	if _, err := e.testAndKeep(ctx); err != nil {
		e.log.WarnContext(ctx, "the keys of the device could not be tested", "error", err)
	}
}

// testAndKeep tests the keys and keeps the outcome, unless the device has others by
// then or the call ends first.
func (e *Enroller) testAndKeep(ctx context.Context) (lost bool, err error) {
	id := e.store.Get().Current
	if lost, err = e.test(ctx); err != nil {
		return false, err
	}
	select {
	case e.change <- struct{}{}:
	case <-ctx.Done():
		return lost, nil
	}
	defer func() { <-e.change }()
	if r := e.store.Get(); r.Current != id || !r.Settled() {
		return lost, nil // other keys than those that were tested, or it is not known whose
	}
	if err := e.judge(lost); err != nil {
		e.log.WarnContext(ctx, "the outcome of a self-test is not kept", "error", err)
	}
	return lost, nil
}

// test has every installed key do its work once. lost is true when at least one is
// gone for good; an error says that it is not known, because the TPM or the way to
// it does not work, and then nothing may be thrown away.
func (e *Enroller) test(ctx context.Context) (lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	return e.keys.test(ctx)
}

// judge keeps the outcome of a self-test; the change is under way.
func (e *Enroller) judge(lost bool) error {
	if r := e.store.Get(); r.KeysLost != lost && r.Current != nil {
		r.KeysLost = lost
		if err := e.put(r); err != nil {
			return err
		}
	}
	passed := !lost
	e.tested.Store(&passed)
	return nil
}

func (k keyring) test(ctx context.Context) (lost bool, err error) {
	resp, err := k.keys.TestDeviceKeys(ctx, &tpmv1.TestDeviceKeysRequest{})
	switch prterr.KindOf(err) {
	case "":
	case prterr.KeysLost:
		return true, nil
	case prterr.NotFound, prterr.Conflict: // the agent has no installed set: is it so?
		installed, again := k.installedKey(ctx)
		if again != nil || installed != nil {
			return false, err
		}
		return true, nil
	default:
		return false, err
	}
	tested := map[tpmv1.KeyPurpose]bool{}
	for _, r := range resp.GetResults() {
		tested[r.GetPurpose()] = true
		switch r.GetOutcome() {
		case tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_PASSED:
		case tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEY_DAMAGED, tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_KEYS_LOST:
			lost = true
		case tpmv1.KeyTestOutcome_KEY_TEST_OUTCOME_TPM_FAILED:
			return false, prterr.New(prterr.TPMFailed, "the TPM does not work: repair it and test again, the keys may be well").WithHRESULT(hresultTPMInternal)
		default:
			return false, badKeys("the outcome of a key test is not known")
		}
	}
	if !tested[tpmv1.KeyPurpose_KEY_PURPOSE_DEVICE] || !tested[tpmv1.KeyPurpose_KEY_PURPOSE_TRANSPORT] {
		return false, badKeys("device key or transport key was not tested")
	}
	return lost, nil
}

// start begins what goes on by itself: a test of the keys, and a hybrid join that
// waits. After an interruption it is not known yet whose keys they are.
func (e *Enroller) start() {
	r := e.store.Get()
	if r.Current != nil && r.Settled() {
		e.back.run(func(ctx context.Context) { e.guarded(ctx, e.selfTest) })
	}
	e.back.run(e.keepJoining)
	e.goOn(r)
}

// goOn has a hybrid join that still waits tried again in the background.
func (e *Enroller) goOn(r state.Record) {
	if r.Waiting == nil {
		return
	}
	select {
	case e.back.wake <- struct{}{}:
	default:
	}
}
