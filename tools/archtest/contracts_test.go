package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// Every contract, so that its descriptor is in the registry.
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/browser/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/fault/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/lab/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/telemetry/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
)

// methods are all RPCs of the contracts, by full method name as gRPC writes it.
func methods() map[string]protoreflect.MethodDescriptor {
	all := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if strings.HasPrefix(string(f.Package()), "prt.") {
			addMethods(all, f)
		}
		return true
	})
	return all
}

func addMethods(all map[string]protoreflect.MethodDescriptor, f protoreflect.FileDescriptor) {
	for i := range f.Services().Len() {
		s := f.Services().Get(i)
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			all[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = m
		}
	}
}

// The rules here see what this test links: a contract that it does not link
// would be free of all of them.
func TestEveryContractIsLinked(t *testing.T) {
	linked := map[string]bool{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		linked["proto/"+f.Path()] = true
		return true
	})
	found := 0
	for p := range repository(t).Text {
		if path.Ext(p) == ".proto" && strings.HasPrefix(p, "proto/") {
			found++
			if !linked[p] {
				t.Errorf("%s: its generated package is not imported by tools/archtest/contracts_test.go", p)
			}
		}
	}
	if found == 0 {
		t.Error("there is no contract")
	}
}

// lint is what a contract must not say; it returns a reason, or "".
type lint func(name string, m protoreflect.MethodDescriptor) (bad []string)

func lints() []lint { return []lint{keysInAnswers, oracles, unmarkedSecrets} }

// No answer carries a key: private keys stay in the TPM, session keys travel
// wrapped, and what is derived from them stays in the room that derived it.
func keysInAnswers(name string, m protoreflect.MethodDescriptor) (bad []string) {
	public := []protoreflect.Name{
		"device_public_key", "transport_public_key", "public_key", "endorsement_key", "attestation_key", // public halves
		"sealed", "encrypted_secret", "wrapped_reset_secret", // sealed for one TPM or one service
	}
	// A PIN reset gives a device back the one secret that the device itself made: it
	// sets a new PIN on the TPM that it came from and opens nothing else. The other
	// answer is the public half that devices wrap for. CloudAP's plug-in hands both on.
	if p := m.ParentFile().Package(); p == "prt.idp.v1" || p == "prt.cloudap.v1" {
		switch m.Name() {
		case "DescribePINReset":
			public = append(public, "key")
		case "OpenResetSecret":
			public = append(public, "reset_secret")
		}
	}
	for _, f := range fields(m.Output()) {
		n := string(f.Name())
		if f.Kind() == protoreflect.BytesKind && (strings.Contains(n, "key") || strings.Contains(n, "secret")) && !slices.Contains(public, f.Name()) {
			bad = append(bad, fmt.Sprintf("%s answers with bytes %s: only public halves and sealed keys leave a room", name, f.FullName()))
		}
	}
	return bad
}

// The tpm-agent's operations are typed. One that signs, derives or decrypts what
// the caller gives is an oracle: whoever may call it owns the key.
func oracles(name string, m protoreflect.MethodDescriptor) (bad []string) {
	if m.ParentFile().Package() != "prt.tpm.v1" {
		return nil
	}
	if slices.Contains([]protoreflect.Name{"Sign", "Derive", "Decrypt", "Encrypt", "Unwrap", "Unseal", "Hmac", "HMAC", "Export"}, m.Name()) {
		bad = append(bad, fmt.Sprintf("%s: an operation of the tpm-agent names what it is for, as in SignPRTCookie", name))
	}
	// A state record signs, derives and encrypts nothing: the agent compares the digest with
	// the one that the same caller gave before, and answers yes or no. No key takes part.
	if m.Parent().Name() == "StateRecordService" {
		return bad
	}
	for _, f := range fields(m.Input()) {
		if f.Kind() == protoreflect.BytesKind && slices.Contains([]protoreflect.Name{"data", "digest", "payload", "message", "hash", "plaintext", "ciphertext", "input"}, f.Name()) {
			bad = append(bad, fmt.Sprintf("%s takes bytes %s: the agent builds or parses the payload itself", name, f.FullName()))
		}
	}
	return bad
}

// debug_redact keeps a field out of what the protobuf runtime prints of a message.
func unmarkedSecrets(name string, m protoreflect.MethodDescriptor) (bad []string) {
	secret := []protoreflect.Name{
		"password", "pin", "saml_assertion", "prt", "new_prt", "access_token", "refresh_token", "id_token",
		"logon_session", "session_cookie", "refresh_token_credential", "client_secret",
	}
	for _, f := range append(fields(m.Input()), fields(m.Output())...) {
		o, _ := f.Options().(*descriptorpb.FieldOptions)
		if f.Kind() == protoreflect.StringKind && slices.Contains(secret, f.Name()) && !o.GetDebugRedact() {
			bad = append(bad, fmt.Sprintf("%s carries %s without debug_redact: it would stand in a log", name, f.FullName()))
		}
	}
	return bad
}

// fields are all fields of a message and of the messages in it.
func fields(m protoreflect.MessageDescriptor) (all []protoreflect.FieldDescriptor) {
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			all = append(all, f)
			if f.Message() != nil {
				walk(f.Message())
			}
		}
	}
	walk(m)
	return all
}

func TestContracts(t *testing.T) {
	if len(methods()) == 0 {
		t.Error("the contracts have no RPC")
	}
	for name, m := range methods() {
		for _, l := range lints() {
			for _, line := range l(name, m) {
				t.Error(line)
			}
		}
	}
}

func TestContractLintsBite(t *testing.T) {
	field := func(name string, kind descriptorpb.FieldDescriptorProto_Type, number int32) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	const bytesField, text = descriptorpb.FieldDescriptorProto_TYPE_BYTES, descriptorpb.FieldDescriptorProto_TYPE_STRING
	inner := field("inner", descriptorpb.FieldDescriptorProto_TYPE_MESSAGE, 2)
	inner.TypeName = proto.String(".prt.tpm.v1.Inner")
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("bad.proto"), Package: proto.String("prt.tpm.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("In"), Field: []*descriptorpb.FieldDescriptorProto{field("digest", bytesField, 1), field("password", text, 2)}},
			{Name: proto.String("Out"), Field: []*descriptorpb.FieldDescriptorProto{field("public_key", bytesField, 1), inner}},
			{Name: proto.String("Inner"), Field: []*descriptorpb.FieldDescriptorProto{field("session_key", bytesField, 1)}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Sign"), InputType: proto.String(".prt.tpm.v1.In"), OutputType: proto.String(".prt.tpm.v1.Out")},
		}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := file.Services().Get(0).Methods().Get(0)
	var got []string
	for _, l := range lints() {
		got = append(got, l("/S/Sign", m)...)
	}
	want := []string{
		"/S/Sign answers with bytes prt.tpm.v1.Inner.session_key: only public halves and sealed keys leave a room",
		"/S/Sign: an operation of the tpm-agent names what it is for, as in SignPRTCookie",
		"/S/Sign takes bytes prt.tpm.v1.In.digest: the agent builds or parses the payload itself",
		"/S/Sign carries prt.tpm.v1.In.password without debug_redact: it would stand in a log",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
