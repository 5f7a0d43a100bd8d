package tpmio

import (
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Class says what an error of a TPM means for whoever used it.
type Class int

// The classes. What each leads to is in the table below.
const (
	// OK is no error.
	OK Class = iota
	// Other is an error that has a name already, or is not the TPM's.
	Other
	// Link is a TPM that cannot be talked to.
	Link
	// Garbled is an answer that is none.
	Garbled
	// Broken is a TPM in failure mode, or one that wants attention before it works.
	Broken
	// Again is a TPM that asked for the same command too often.
	Again
	// Restarted is a TPM that was reset: its handles and sessions are gone, blobs are
	// good.
	Restarted
	// Resource is a TPM whose slots or memory are full.
	Resource
	// Blob is a blob that this TPM does not take. It is a candidate for lost keys and
	// no more: one damaged file answers the same as a cleared TPM, and only the name of
	// the storage root key tells them apart.
	Blob
	// User is a wrong authorisation value, such as a PIN.
	User
	// Lockout is a TPM that refuses authorisations after too many wrong ones.
	Lockout
	// Hierarchy is an owner hierarchy that was switched off.
	Hierarchy
	// Ownership is an owner hierarchy under a password that this agent does not have.
	Ownership
	// Refused is a command that the TPM does not do, with these parameters or at all.
	Refused
)

// Windows codes of the same failures, as people look them up. The rooms above give the
// exported ones to failures of their own.
const (
	HRESULTBadKeyset   = 0x80090016 // NTE_BAD_KEYSET: the key set is not there
	HRESULTLocked      = 0x8009000B // NTE_BAD_KEY_STATE: the data key of the user is locked
	hresultTPMInternal = 0x80290407 // TPM_E_PCP_INTERNAL_ERROR
	HRESULTWrongPIN    = 0x80090033 // NTE_INCORRECT_PASSWORD
	HRESULTLockout     = 0x80090031 // NTE_AUTHENTICATION_IGNORED: dictionary-attack lock-out
)

// reaction is a row of the table: how a class is reported, and what comes next.
type reaction struct {
	name    string
	kind    prterr.Kind
	hresult uint32
	// text follows what was being done.
	text string
}

// reactions is the whole table, a row for each class.
var reactions = [...]reaction{
	OK:        {name: "ok"},
	Other:     {name: "other", kind: prterr.Internal},
	Link:      {"link", prterr.TPMFailed, hresultTPMInternal, "the TPM does not answer: start it; the next request dials it again"},
	Garbled:   {"garbled", prterr.TPMFailed, hresultTPMInternal, "the TPM's answer is not understood: see the log"},
	Broken:    {"broken", prterr.TPMFailed, hresultTPMInternal, "the TPM failed: restart it; the keys are not given up"},
	Again:     {"again", prterr.TPMFailed, hresultTPMInternal, "the TPM stays busy: try again"},
	Restarted: {"restarted", prterr.TPMFailed, hresultTPMInternal, "the TPM was reset: try again"},
	Resource:  {"resource", prterr.TPMFailed, hresultTPMInternal, "the TPM is full: end other programs that use it, then try again"},
	Blob:      {"blob", prterr.KeysLost, HRESULTBadKeyset, "the TPM does not know this key any more: register the device again"},
	User:      {"user", prterr.Denied, 0, "the key is not usable here"},
	Lockout:   {"lockout", prterr.Exhausted, HRESULTLockout, "the TPM is locked after wrong attempts: wait"},
	Hierarchy: {"hierarchy", prterr.TPMFailed, hresultTPMInternal, "the TPM's owner hierarchy is off: switch it on in the firmware's setup; the keys come back"},
	Ownership: {"ownership", prterr.TPMFailed, hresultTPMInternal, "somebody set an owner password in the TPM: remove it; the keys are not given up"},
	Refused:   {"refused", prterr.TPMFailed, hresultTPMInternal, "the TPM refuses the command"},
}

// String is the name of the class, as metrics use it.
func (c Class) String() string {
	if c < 0 || int(c) >= len(reactions) {
		return "unknown"
	}
	return reactions[c].name
}

// Classes lists every class.
func Classes() []Class {
	all := make([]Class, len(reactions))
	for i := range all {
		all[i] = Class(i)
	}
	return all
}

// class is a row of the table of response codes (TCG Part 2, section 6.6).
type class struct {
	code  tpm2.TPMRC
	class Class
}

// codes are the response codes with a class of their own; every other is Refused.
// Those of format one are without the number of their parameter.
var codes = [...]class{
	{tpm2.TPMRCFailure, Broken},
	{tpm2.TPMRCUpgrade, Broken},
	{tpm2.TPMRCReboot, Broken},
	{tpm2.TPMRCNeedsTest, Broken},
	{tpm2.TPMRCNVUnavailable, Broken},
	{tpm2.TPMRCRetry, Again},
	{tpm2.TPMRCYielded, Again},
	{tpm2.TPMRCTesting, Again},
	{tpm2.TPMRCNVRate, Again},
	{tpm2.TPMRCInitialize, Restarted},
	{tpm2.TPMRCHandle, Restarted},
	{tpm2.TPMRCObjectMemory, Resource},
	{tpm2.TPMRCSessionMemory, Resource},
	{tpm2.TPMRCMemory, Resource},
	{tpm2.TPMRCSessionHandles, Resource},
	{tpm2.TPMRCObjectHandles, Resource},
	{tpm2.TPMRCNVSpace, Resource},
	{tpm2.TPMRCIntegrity, Blob},
	{tpm2.TPMRCInsufficient, Blob},
	{tpm2.TPMRCAuthFail, User},
	{tpm2.TPMRCBadAuth, User},
	{tpm2.TPMRCLockout, Lockout},
	{tpm2.TPMRCHierarchy, Hierarchy},
}

// Classify says what an error of [Owner.Do] means.
func Classify(err error) Class {
	var named *prterr.Error
	var link *LinkError
	var command *CommandError
	var rc tpm2.TPMRC
	switch {
	case err == nil:
		return OK
	case errors.As(err, &named):
		return Other
	case errors.As(err, &link):
		return Link
	case !errors.As(err, &rc):
		return Garbled
	}
	c := classOf(rc)
	if c == User && errors.As(err, &command) && ofOwner(command.Code) {
		return Ownership
	}
	return c
}

// classOf is the class of a response code by itself.
func classOf(rc tpm2.TPMRC) Class {
	if rc == tpm2.TPMRCSuccess {
		return OK
	}
	// A handle or session of the command that is not there any more (Part 2, 6.6.3).
	if rc >= tpm2.TPMRCReferenceH0 && rc <= tpm2.TPMRCReferenceS6 {
		return Restarted
	}
	for _, c := range codes {
		if rc.Is(c.code) {
			return c.class
		}
	}
	return Refused
}

// ofOwner are the commands that this agent authorises as the TPM's owner.
func ofOwner(cc tpm2.TPMCC) bool {
	switch cc {
	case tpm2.TPMCCCreatePrimary, tpm2.TPMCCEvictControl, tpm2.TPMCCHierarchyChanegAuth, tpm2.TPMCCNVDefineSpace, tpm2.TPMCCNVUndefineSpace:
		return true
	}
	return false
}

// HandlesGone reports that a TPM was reset: Startup, open the root again, and the
// same work goes through.
func HandlesGone(err error) bool { return Classify(err) == Restarted }
