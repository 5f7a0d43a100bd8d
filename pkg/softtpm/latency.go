package softtpm

import (
	"math"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// Figures of chips in the field for one signature.
const (
	fieldMedian = 200 * time.Millisecond // P50
	fieldP95    = 600 * time.Millisecond
	fieldMax    = 5 * time.Second // a longer draw is cut: times are bounded
)

// FieldLatency gives a Config.Latency with the figures of chips in the field:
// what a private key does, to sign, attest or decrypt, takes 200 ms at the
// median and 600 ms at the 95th percentile, by a log-normal distribution, and
// at most 5 s. Every other command takes no extra time. Equal seeds give equal
// sequences. The function may be shared by TPMs; it is safe for concurrent use.
func FieldLatency(seed uint64) func(tpm2.TPMCC) time.Duration {
	var mu sync.Mutex
	stream := &counterStream{}
	be.PutUint64(stream.key[:], seed)
	// uniform gives a number above 0 and up to 1.
	uniform := func() float64 {
		var b [8]byte
		_, _ = stream.Read(b[:]) // never fails
		return (float64(be.Uint64(b[:])>>11) + 1) / (1 << 53)
	}
	const z95 = 1.6448536269514722 // 95 % of a normal distribution lie below
	sigma := math.Log(float64(fieldP95)/float64(fieldMedian)) / z95
	return func(cc tpm2.TPMCC) time.Duration {
		if !usesPrivateKey(cc) {
			return 0
		}
		mu.Lock()
		defer mu.Unlock()
		normal := math.Sqrt(-2*math.Log(uniform())) * math.Cos(2*math.Pi*uniform()) // Box and Muller
		return min(time.Duration(float64(fieldMedian)*math.Exp(sigma*normal)), fieldMax)
	}
}

// usesPrivateKey tells which commands run a private-key operation of a key
// pair, the slow part of a chip besides making keys.
func usesPrivateKey(cc tpm2.TPMCC) bool {
	switch cc {
	case tpm2.TPMCCSign, tpm2.TPMCCRSADecrypt, tpm2.TPMCCECDHZGen, tpm2.TPMCCActivateCredential, tpm2.TPMCCImport,
		tpm2.TPMCCCertify, tpm2.TPMCCCertifyCreation, tpm2.TPMCCQuote, tpm2.TPMCCGetTime, tpm2.TPMCCNVCertify,
		tpm2.TPMCCGetSessionAuditDigest, tpm2.TPMCCGetCommandAuditDigest:
		return true
	default:
		return false
	}
}

// delay lets a command that succeeded take its time.
func (t *TPM) delay(cc tpm2.TPMCC) {
	if t.cfg.Latency == nil {
		return
	}
	if d := t.cfg.Latency(cc); d > 0 {
		t.cfg.Sleep(d)
	}
}
