package canary_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
)

// tap stands between the tpm-agent and who calls it, and writes down the tokens
// that pass: wrapped session keys, signed requests, encrypted answers. It sees no
// key, nor does anything that runs know of it.
type tap struct {
	t      *testing.T
	agent  map[string]grpc.ClientConnInterface
	mu     sync.Mutex
	tokens []string
	// told are the values of fields that the contracts mark as secret, by their name.
	told secrets
}

// newTap takes over the agent's socket. identity gives the folder with the identity
// of a component.
func newTap(t *testing.T, socket string, identity func(component string) string) *tap {
	t.Helper()
	id := func(name string) *rpc.Identity {
		i, err := rpc.LoadIdentity(identity(name))
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	if err := os.Rename(socket, socket+".agent"); err != nil {
		t.Fatal(err)
	}
	p := &tap{t: t, agent: map[string]grpc.ClientConnInterface{}, told: secrets{}}
	for _, caller := range []string{"dsreg", "lsa-cloudap"} {
		conn, err := rpc.Dial(rpc.DialConfig{Network: rpc.OS{}, Addr: "unix:" + socket + ".agent", Identity: id(caller), Server: "tpm-agent"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		p.agent[caller] = conn
	}
	server, err := rpc.NewServer(rpc.ServerConfig{Identity: id("tpm-agent"), Allow: tpmagent.Allow()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := rpc.OS{}.Listen("unix:" + socket)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(server)
	go func() { _ = server.Serve(l) }() // ends with Stop
	t.Cleanup(server.Stop)
	return p
}

// serve offers every method of the agent's contracts, whatever they are.
func (p *tap) serve(server *grpc.Server) {
	protoregistry.GlobalFiles.RangeFilesByPackage(tpmv1.File_prt_tpm_v1_prt_proto.Package(), func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			s := file.Services().Get(i)
			desc := grpc.ServiceDesc{ServiceName: string(s.FullName()), HandlerType: (*any)(nil)}
			for k := range s.Methods().Len() {
				desc.Methods = append(desc.Methods, p.method(s.Methods().Get(k)))
			}
			server.RegisterService(&desc, p)
		}
		return true
	})
}

func (p *tap) method(m protoreflect.MethodDescriptor) grpc.MethodDesc {
	full := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	return grpc.MethodDesc{MethodName: string(m.Name()), Handler: func(srv any, ctx context.Context, decode func(any) error, around grpc.UnaryServerInterceptor) (any, error) {
		in := dynamicpb.NewMessage(m.Input())
		if err := decode(in); err != nil {
			return nil, err
		}
		return around(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: full}, func(ctx context.Context, _ any) (any, error) {
			out := dynamicpb.NewMessage(m.Output())
			p.note(in)
			err := p.agent[rpc.Caller(ctx)].Invoke(ctx, full, in, out)
			p.note(out)
			return out, err
		})
	}}
}

// note keeps every compact token in a message, in the order in which they pass.
func (p *tap) note(m proto.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.Kind() == protoreflect.StringKind && !f.IsList() && strings.HasPrefix(v.String(), "eyJ") {
			p.tokens = append(p.tokens, v.String())
		}
		p.secret(f, v)
		return true
	})
}

// secret keeps the values of fields that are marked so, in messages within messages too.
func (p *tap) secret(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	if f.IsList() || f.IsMap() {
		return
	}
	o, _ := f.Options().(*descriptorpb.FieldOptions)
	switch {
	case f.Kind() == protoreflect.MessageKind:
		v.Message().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool { p.secret(f, v); return true })
	case !o.GetDebugRedact():
	case f.Kind() == protoreflect.StringKind && len(v.String()) >= 6:
		p.told[string(f.Name())] = append(p.told[string(f.Name())], v.String())
	case f.Kind() == protoreflect.BytesKind && len(v.Bytes()) >= 6:
		p.told[string(f.Name())] = append(p.told[string(f.Name())], string(v.Bytes()))
	}
}
