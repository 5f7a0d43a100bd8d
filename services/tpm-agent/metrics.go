package tpmagent

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// The labels of a command: what it is for, and the class of its end.
const (
	commandKey = attribute.Key("tpm.command.class")
	answerKey  = attribute.Key("tpm.response.class")
)

// The classes of commands. Which key a command was about is in none.
const (
	classMake    = "make"    // a new key: seconds on a chip
	classUse     = "use"     // a signature, an HMAC, a decryption, a secret
	classLoad    = "load"    // a key into and out of a slot
	classSession = "session" // sessions and policies
	classStorage = "storage" // counters and records in NV memory
	classAttest  = "attest"  // certification of keys
	classOther   = "other"
)

// classOf is the class of a command (TCG Part 2, section 6.5.2).
func classOf(cc tpm2.TPMCC) string {
	switch cc {
	case tpm2.TPMCCCreate, tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreateLoaded:
		return classMake
	case tpm2.TPMCCSign, tpm2.TPMCCHMAC, tpm2.TPMCCHMACStart, tpm2.TPMCCSequenceUpdate, tpm2.TPMCCSequenceComplete,
		tpm2.TPMCCRSADecrypt, tpm2.TPMCCUnseal, tpm2.TPMCCEncryptDecrypt2, tpm2.TPMCCECDHZGen, tpm2.TPMCCImport:
		return classUse
	case tpm2.TPMCCLoad, tpm2.TPMCCLoadExternal, tpm2.TPMCCFlushContext, tpm2.TPMCCContextLoad, tpm2.TPMCCContextSave,
		tpm2.TPMCCReadPublic, tpm2.TPMCCEvictControl, tpm2.TPMCCObjectChangeAuth:
		return classLoad
	case tpm2.TPMCCStartAuthSession, tpm2.TPMCCPolicySecret, tpm2.TPMCCPolicyCommandCode, tpm2.TPMCCPolicyOR, tpm2.TPMCCPolicyGetDigest:
		return classSession
	case tpm2.TPMCCNVDefineSpace, tpm2.TPMCCNVUndefineSpace, tpm2.TPMCCNVRead, tpm2.TPMCCNVReadPublic, tpm2.TPMCCNVIncrement, tpm2.TPMCCNVWrite:
		return classStorage
	case tpm2.TPMCCCertify, tpm2.TPMCCActivateCredential, tpm2.TPMCCQuote, tpm2.TPMCCMakeCredential:
		return classAttest
	default:
		return classOther
	}
}

// latencies are the borders of the time of a command, in seconds. 0.6 is the one of the
// objective.
func latencies() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .2, .4, .6, .8, 1, 2, 5, 10, 30, 150}
}

// onCommand is what notes the commands of a TPM; nil when nobody reads the metrics. It is
// called for each command, so its labels are made once.
func onCommand(mp metric.MeterProvider) (func(tpm2.TPMCC, tpmio.Class, time.Duration), error) {
	if mp == nil {
		return nil, nil
	}
	duration, err := mp.Meter("github.com/lockstep-sso/lockstep/services/tpm-agent").Float64Histogram("tpm.command.duration", metric.WithUnit("s"),
		metric.WithDescription("How long the TPM worked on a command."), metric.WithExplicitBucketBoundaries(latencies()...))
	if err != nil {
		return nil, fmt.Errorf("metrics of the TPM: %w", err)
	}
	type key struct {
		command string
		answer  tpmio.Class
	}
	labels := map[key][]metric.RecordOption{}
	for _, command := range []string{classMake, classUse, classLoad, classSession, classStorage, classAttest, classOther} {
		for _, answer := range tpmio.Classes() {
			set := attribute.NewSet(commandKey.String(command), answerKey.String(answer.String()))
			labels[key{command, answer}] = []metric.RecordOption{metric.WithAttributeSet(set)}
		}
	}
	return func(cc tpm2.TPMCC, answer tpmio.Class, took time.Duration) {
		duration.Record(context.Background(), took.Seconds(), labels[key{classOf(cc), answer}]...)
	}, nil
}
