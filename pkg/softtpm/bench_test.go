package softtpm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/lockstep-sso/lockstep/pkg/softtpm"
)

// command encodes a command with an empty password by hand: the benchmarks
// measure the TPM and not go-tpm's codec.
func command(cc, handle uint32, params []byte) []byte {
	b := be.AppendUint32([]byte{0x80, 2, 0, 0, 0, 0}, cc)
	b = be.AppendUint32(b, handle)
	b = append(be.AppendUint32(b, 9), 0x40, 0, 0, 9, 0, 0, 1, 0, 0)
	b = append(b, params...)
	be.PutUint32(b[2:], uint32(len(b)))
	return b
}

func sized(b []byte) []byte { return append(be.AppendUint16(nil, uint16(len(b))), b...) }

func send(b *testing.B, tpm *softtpm.TPM, cmd []byte) []byte {
	r, err := tpm.Send(cmd)
	if err != nil || be.Uint32(r[6:]) != 0 {
		b.Fatalf("%v %x", err, r)
	}
	return r
}

func benchHMAC(b *testing.B, size int) {
	tpm := newTPM(b, softtpm.Config{})
	k := made(b, tpm, srk(b, tpm), skTemplate(true), "", span(0, 32))
	cmd := command(uint32(tpm2.TPMCCHMAC), uint32(k.Handle), append(sized(make([]byte, size)), 0, 0x0b))
	b.ReportAllocs()
	for b.Loop() {
		send(b, tpm, cmd)
	}
}

func BenchmarkHMAC60(b *testing.B)   { benchHMAC(b, 60) }
func BenchmarkHMAC1024(b *testing.B) { benchHMAC(b, 1024) }

func benchSign(b *testing.B, tmpl tpm2.TPMTPublic) {
	tpm := newTPM(b, softtpm.Config{})
	k := made(b, tpm, srk(b, tpm), tmpl, "", nil)
	cmd := command(uint32(tpm2.TPMCCSign), uint32(k.Handle), append(sized(make([]byte, 32)), 0, 0x10, 0x80, 0x24, 0x40, 0, 0, 7, 0, 0))
	b.ReportAllocs()
	for b.Loop() {
		send(b, tpm, cmd)
	}
}

func BenchmarkSignRSA2048(b *testing.B) { benchSign(b, dkTemplate()) }
func BenchmarkSignP256(b *testing.B) {
	benchSign(b, ecTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256))
}

func BenchmarkRSADecrypt(b *testing.B) {
	tpm := newTPM(b, softtpm.Config{})
	k := made(b, tpm, srk(b, tpm), tkTemplate(tpm2.TPMAlgSHA1), "", nil)
	ct, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, publicKey(b, k.Pub), span(0, 32), nil)
	ok(b, err)
	cmd := command(uint32(tpm2.TPMCCRSADecrypt), uint32(k.Handle), append(sized(ct), 0, 0x10, 0, 0))
	b.ReportAllocs()
	for b.Loop() {
		send(b, tpm, cmd)
	}
}

// benchLoad measures Load and FlushContext; keys tells how many keys take
// turns, more than the cache holds to see the unsealing.
func benchLoad(b *testing.B, tmpl tpm2.TPMTPublic, data []byte, keys int) {
	tpm := newTPM(b, softtpm.Config{})
	root := srk(b, tpm)
	cmds := make([][]byte, keys)
	for i := range cmds {
		x := must[blob](b)(create(tpm, root, tmpl, "", data))
		cmds[i] = command(uint32(tpm2.TPMCCLoad), uint32(root.Handle), append(tpm2.Marshal(x.Priv), tpm2.Marshal(x.Pub)...))
	}
	flush := []byte{0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65, 0, 0, 0, 0}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := send(b, tpm, cmds[i%keys])
		copy(flush[10:], r[10:14])
		send(b, tpm, flush)
	}
}

func BenchmarkLoadFlushHMACKey(b *testing.B)      { benchLoad(b, skTemplate(true), span(0, 32), 1) }
func BenchmarkLoadFlushHMACUncached(b *testing.B) { benchLoad(b, skTemplate(true), span(0, 32), 200) }
func BenchmarkLoadFlushRSAKey(b *testing.B)       { benchLoad(b, dkTemplate(), nil, 1) }

// BenchmarkNewTPM is one more TPM in a fleet: manufacture, start, SRK.
func BenchmarkNewTPM(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		tpm, err := softtpm.New(softtpm.Config{})
		ok(b, err)
		start(b, tpm)
		srk(b, tpm)
		ok(b, tpm.Close())
	}
}

// BenchmarkThousandTPMs makes a fleet in one process: 1,000 TPMs, started, each
// with a storage root key. It reports the time for all and the memory of each.
func BenchmarkThousandTPMs(b *testing.B) {
	const n = 1000
	var fleet [n]*softtpm.TPM
	for b.Loop() {
		var before, after runtime.MemStats
		clear(fleet[:])
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		for i := range fleet {
			tpm, err := softtpm.New(softtpm.Config{})
			ok(b, err)
			start(b, tpm)
			srk(b, tpm)
			fleet[i] = tpm
		}
		took := time.Since(began)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(took.Milliseconds()), "ms/1000TPMs")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/TPM")
	}
	runtime.KeepAlive(&fleet)
}
