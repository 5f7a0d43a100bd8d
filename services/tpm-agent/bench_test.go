package tpmagent_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/device"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

// handlers takes the agent's handlers where a server would, so that a benchmark
// measures the agent and not the transport before it.
type handlers struct {
	prt     tpmv1.PRTKeyServiceServer
	devices tpmv1.DeviceKeyServiceServer
	records tpmv1.StateRecordServiceServer
	data    tpmv1.DataKeyServiceServer
}

func (h *handlers) RegisterService(_ *grpc.ServiceDesc, impl any) {
	switch s := impl.(type) {
	case tpmv1.PRTKeyServiceServer:
		h.prt = s
	case tpmv1.DeviceKeyServiceServer:
		h.devices = s
	case tpmv1.StateRecordServiceServer:
		h.records = s
	case tpmv1.DataKeyServiceServer:
		h.data = s
	}
}

// bench is an agent with a registered device and a session key, and another TPM of
// the same kind for the bare command: in the agent's there is no slot for its key.
type bench struct {
	handlers
	agent  *tpmagenttest.Agent
	bare   transport.TPM
	key    secret.Bytes
	sealed *tpmv1.SealedSessionKey
	// ctx is of a call by lsa-cloudap: handlers ask who calls.
	ctx context.Context
}

// asCloudAP is the context of a call that lsa-cloudap makes, as the server hands it on.
func asCloudAP(tb testing.TB) context.Context {
	tb.Helper()
	const method = "/prt.tpm.v1.Bench/Enter"
	entered := make(chan context.Context, 1)
	enter := grpc.ServiceDesc{ServiceName: "prt.tpm.v1.Bench", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Enter", Handler: func(_ any, in context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
			req := new(tpmv1.LockDataKeyRequest)
			if err := decode(req); err != nil {
				return nil, err
			}
			return around(in, req, &grpc.UnaryServerInfo{FullMethod: method}, func(in context.Context, _ any) (any, error) {
				entered <- context.WithoutCancel(in)
				return new(tpmv1.LockDataKeyResponse), nil
			})
		},
	}}}
	conn, stop, err := rpc.Loopback(rpc.LoopbackConfig{Caller: "lsa-cloudap", Server: "tpm-agent", Allow: rpc.AllowList{method: {"lsa-cloudap"}}}, func(r grpc.ServiceRegistrar) {
		r.RegisterService(&enter, nil)
	})
	if err != nil {
		tb.Fatal(err)
	}
	defer stop()
	if err := conn.Invoke(tb.Context(), method, new(tpmv1.LockDataKeyRequest), new(tpmv1.LockDataKeyResponse)); err != nil {
		tb.Fatal(err)
	}
	return <-entered
}

// onEach runs a benchmark on the TPM in software and, where it is installed, on
// swtpm.
func onEach(b *testing.B, native bool, f func(*testing.B, *bench)) {
	b.Run("soft", func(b *testing.B) { f(b, newBench(b, "mem:", native)) })
	b.Run("swtpm", func(b *testing.B) {
		needSWTPM(b)
		f(b, newBench(b, "swtpm:", native))
	})
}

func newBench(b *testing.B, addr string, native bool) *bench {
	b.Helper()
	m := must[*device.Machine](b)(device.Open(b.Context(), device.Config{Addr: addr, Dir: b.TempDir()}))
	b.Cleanup(func() { _ = m.Close() })
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(m.TPM); err != nil && !errors.Is(err, tpm2.TPMRCInitialize) {
		b.Fatal(err)
	}
	a := tpmagenttest.Start(b, tpmagent.Config{TPM: addr, NativeSessionKeys: native})
	a.Native = native
	x := &bench{agent: a, bare: m.TPM, key: secret.NewBytes(make([]byte, 32)), ctx: asCloudAP(b)}
	a.Service.Register(x)
	jwe := must[string](b)(a.Wrap(a.Register(), x.key))
	r := must[*tpmv1.ImportSessionKeyResponse](b)(x.prt.ImportSessionKey(x.ctx, &tpmv1.ImportSessionKeyRequest{
		Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKeyJwe: jwe,
	}))
	x.sealed = r.GetSessionKey()
	return x
}

// against runs op, then the bare command as often on a TPM like the agent's, and reports how
// many times longer op took (x_bare) and by how much (us_over_bare).
func against(b *testing.B, tpm transport.TPM, bare []byte, op func(context.Context) error) {
	b.Helper()
	ctx := asCloudAP(b)
	if err := op(ctx); err != nil { // loads the key
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := op(ctx); err != nil {
			b.Fatal(err)
		}
	}
	perOp := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	start := time.Now()
	for range b.N {
		out, err := tpm.Send(bare)
		if err != nil || binary.BigEndian.Uint32(out[6:]) != 0 {
			b.Fatalf("bare command: %v %x", err, out)
		}
	}
	perBare := float64(time.Since(start).Nanoseconds()) / float64(b.N)
	b.ReportMetric(perOp/perBare, "x_bare")
	b.ReportMetric((perOp-perBare)/1e3, "us_over_bare")
}

// bareKey makes and loads a key.
func bareKey(b *testing.B, tpm transport.TPM, template tpm2.TPMTPublic, data []byte) tpm2.TPMHandle {
	b.Helper()
	root, _ := tpmagenttest.StorageRoot(b, tpm)
	c := tpm2.Create{ParentHandle: root, InPublic: tpm2.New2B(template)}
	if data != nil {
		c.InSensitive.Sensitive = &tpm2.TPMSSensitiveCreate{Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: data})}
	}
	made := must[*tpm2.CreateResponse](b)(c.Execute(tpm))
	return must[*tpm2.LoadResponse](b)(tpm2.Load{ParentHandle: root, InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(tpm)).ObjectHandle
}

// bareCommand encodes a command on one key with an empty password.
func bareCommand(cc tpm2.TPMCC, key tpm2.TPMHandle, data, tail []byte) []byte {
	be := binary.BigEndian
	b := be.AppendUint32([]byte{0x80, 2, 0, 0, 0, 0}, uint32(cc))
	b = be.AppendUint32(b, uint32(key))
	b = append(be.AppendUint32(b, 9), 0x40, 0, 0, 9, 0, 0, 0, 0, 0)
	b = append(be.AppendUint16(b, uint16(len(data))), data...)
	b = append(b, tail...)
	be.PutUint32(b[2:], uint32(len(b)))
	return b
}

func (x *bench) bareHMAC(b *testing.B) []byte {
	key := bareKey(b, x.bare, tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
			Scheme:  tpm2.TPMAlgHMAC,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256}),
		}}),
	}, make([]byte, 32))
	return bareCommand(tpm2.TPMCCHMAC, key, make([]byte, 67), []byte{0, 0x0b}) // 67 bytes: a KDF input
}

func (x *bench) cookie() *tpmv1.SignPRTCookieRequest {
	return &tpmv1.SignPRTCookieRequest{Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: x.sealed, Prt: prt, RequestNonce: nonce}
}

// BenchmarkSignPRTCookie is the handler against the HMAC command that it needs.
func BenchmarkSignPRTCookie(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		r := x.cookie()
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := x.prt.SignPRTCookie(ctx, r)
			return err
		})
	})
}

// BenchmarkSignPRTCookieNative is the same with a session key that only the TPM
// derives from: three commands in place of one.
func BenchmarkSignPRTCookieNative(b *testing.B) {
	onEach(b, true, func(b *testing.B, x *bench) {
		r := x.cookie()
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := x.prt.SignPRTCookie(ctx, r)
			return err
		})
	})
}

// BenchmarkSignPRTCookieSealed is the same with a PRT that rests sealed: what it costs
// that no caller keeps one in the clear.
func BenchmarkSignPRTCookieSealed(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		r := x.cookie()
		made := must[*tpmv1.ProtectPRTResponse](b)(x.prt.ProtectPRT(x.ctx, &tpmv1.ProtectPRTRequest{Partition: r.GetPartition(), Prt: strings.Repeat("p", 2<<10)}))
		r.Prt, r.SealedPrt = "", made.GetSealedPrt()
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := x.prt.SignPRTCookie(ctx, r)
			return err
		})
	})
}

// BenchmarkStateRecord is one write of a component's state, both phases.
func BenchmarkStateRecord(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		digest := make([]byte, 32)
		for i := 0; b.Loop(); i++ {
			binary.BigEndian.PutUint64(digest, uint64(i))
			if _, err := x.records.BeginState(x.ctx, &tpmv1.BeginStateRequest{Digest: digest}); err != nil {
				b.Fatal(err)
			}
			if _, err := x.records.ConfirmState(x.ctx, &tpmv1.ConfirmStateRequest{Digest: digest}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSignPRTCookieRPC is the call as lsa-cloudap makes it, over a unix socket
// with TLS.
func BenchmarkSignPRTCookieRPC(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		client, r := tpmv1.NewPRTKeyServiceClient(overSocket(b, x.agent.Service)), x.cookie()
		_, r.SessionKey = x.agent.Import(x.agent.Register(), tpmagenttest.UserA) // as lsa-cloudap
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := client.SignPRTCookie(ctx, r)
			return err
		})
	})
}

// overSocket serves an agent at a unix socket and dials it.
func overSocket(b *testing.B, s *tpmagent.Service) grpc.ClientConnInterface {
	b.Helper()
	ca := must[*rpc.CA](b)(rpc.NewCA())
	server := must[*grpc.Server](b)(rpc.NewServer(rpc.ServerConfig{Identity: must[*rpc.Identity](b)(ca.Issue("tpm-agent")), Allow: tpmagent.Allow()}))
	s.Register(server)
	addr := "unix:" + filepath.Join(b.TempDir(), "s")
	l := must[net.Listener](b)(rpc.OS{}.Listen(addr))
	go func() { _ = server.Serve(l) }() // ends with Stop below
	conn := must[*grpc.ClientConn](b)(rpc.Dial(rpc.DialConfig{
		Network: rpc.OS{}, Addr: addr, Identity: must[*rpc.Identity](b)(ca.Issue("lsa-cloudap")), Server: "tpm-agent",
	}))
	b.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
	})
	return conn
}

// BenchmarkSignTokenRequest is the handler against the HMAC command.
func BenchmarkSignTokenRequest(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		r := &tpmv1.SignTokenRequestRequest{
			Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: x.sealed, ClientId: entrawire.BrokerClientID,
			Resource: "https://graph.example", RequestNonce: nonce, Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: prt},
		}
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := x.prt.SignTokenRequest(ctx, r)
			return err
		})
	})
}

func prtAnswer(b *testing.B, x *bench, seal func(secret.Bytes, []byte) (string, error)) *tpmv1.OpenPRTAnswerRequest {
	plain := must[[]byte](b)(entrawire.PRTAnswer{
		TokenType: entrawire.TokenType, ExpiresIn: 1209599, RefreshToken: secret.NewText(prt), RefreshTokenExpiresIn: 1209599, IDToken: secret.NewText("e30.e30."),
	}.Encode())
	return &tpmv1.OpenPRTAnswerRequest{
		Partition: tpmagenttest.Partition(tpmagenttest.UserA), SessionKey: x.sealed, Answer: must[string](b)(seal(x.key, plain)),
	}
}

// BenchmarkOpenPRTAnswer is the handler against the HMAC command.
func BenchmarkOpenPRTAnswer(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		r := prtAnswer(b, x, entrawire.SealAnswer)
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := x.prt.OpenPRTAnswer(ctx, r)
			return err
		})
	})
}

// BenchmarkOpenPRTAnswerNative has the TPM encrypt the counter blocks.
func BenchmarkOpenPRTAnswerNative(b *testing.B) {
	onEach(b, true, func(b *testing.B, x *bench) {
		r := prtAnswer(b, x, entrawire.SealNativeAnswer)
		against(b, x.bare, x.bareHMAC(b), func(ctx context.Context) error {
			_, err := x.prt.OpenPRTAnswer(ctx, r)
			return err
		})
	})
}

// BenchmarkSignPRTRequest is the handler against the RSA signature.
func BenchmarkSignPRTRequest(b *testing.B) {
	onEach(b, false, func(b *testing.B, x *bench) {
		key := bareKey(b, x.bare, tpm2.TPMTPublic{
			Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true, SignEncrypt: true},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
				Scheme: tpm2.TPMTRSAScheme{
					Scheme:  tpm2.TPMAlgRSASSA,
					Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA256}),
				},
				KeyBits: 2048,
			}),
		}, nil)
		r := &tpmv1.SignPRTRequestRequest{UserPrincipalName: "alice@contoso.test", RequestNonce: nonce, Credential: passwordOf("correct horse")}
		bare := bareCommand(tpm2.TPMCCSign, key, make([]byte, 32), []byte{0, 0x10, 0x80, 0x24, 0x40, 0, 0, 7, 0, 0})
		against(b, x.bare, bare, func(ctx context.Context) error {
			_, err := x.prt.SignPRTRequest(ctx, r)
			return err
		})
	})
}
