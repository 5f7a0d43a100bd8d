// Package contract knows the contracts by their descriptors: who serves which method,
// what a message names in the clear, and how a field becomes another.
//
// It takes messages apart that the stand-in otherwise hands on as bytes, for the rules
// that need it. What never may live here: meaning. A field is a name and a kind.
// The gRPC front calls it, and the door for the names of components.
package contract

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Every contract of a component, so that its descriptor is in the registry.
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/browser/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/domain/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/event/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/trust/v1"
	_ "github.com/lockstep-sso/lockstep/proto/gen/prt/wam/v1"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/signed"
)

// Packages are the contracts that each component serves to others, without what a
// laboratory adds.
func Packages() map[string][]string {
	return map[string][]string{
		"adfs":        {"prt.domain.v1", "prt.federation.v1", "prt.trust.v1"},
		"browsercore": {"prt.browser.v1"},
		"dsreg":       {"prt.dsreg.v1", "prt.event.v1"},
		"idp":         {"prt.directory.v1", "prt.idp.v1", "prt.trust.v1"},
		"lsa-cloudap": {"prt.authority.v1", "prt.event.v1", "prt.lsa.v1"},
		"tpm-agent":   {"prt.tpm.v1"},
		"wam-broker":  {"prt.event.v1", "prt.wam.v1"},
	}
}

// Method is one method of a contract.
type Method struct {
	// Name is the full name, as /prt.tpm.v1.KeyService/SignAssertion.
	Name string
	desc protoreflect.MethodDescriptor
}

// Methods are those that a component serves, in the order of their names.
func Methods(component string) (all []Method) {
	packages := Packages()[component]
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !slices.Contains(packages, string(f.Package())) {
			return true
		}
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				all = append(all, Method{fmt.Sprintf("/%s/%s", s.FullName(), m.Name()), m})
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b Method) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Message takes a message of the method apart: the request, or the answer.
func (m Method) Message(request bool, b []byte) (protoreflect.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(m.side(request).FullName())
	if err != nil {
		return nil, err
	}
	msg := t.New()
	return msg, proto.Unmarshal(b, msg.Interface())
}

func (m Method) side(request bool) protoreflect.MessageDescriptor {
	if request {
		return m.desc.Input()
	}
	return m.desc.Output()
}

// Names of the fields that name somebody in the clear.
const (
	User   = protoreflect.Name("user_principal_name")
	Device = protoreflect.Name("device_id")
)

// maxNesting is how deep such a field is looked for.
const maxNesting = 3

// request is the field of a request that a device signed, which names both inside.
const request = protoreflect.Name("request")

// CanName says whether a request of the method can have a text field of that name, or a
// request that a device signed, which says who asks.
func (m Method) CanName(field protoreflect.Name) bool {
	return has(m.desc.Input(), field, maxNesting) || has(m.desc.Input(), request, 1)
}

func has(d protoreflect.MessageDescriptor, field protoreflect.Name, depth int) bool {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.Name() == field && f.Kind() == protoreflect.StringKind && !f.IsList() {
			return true
		}
		if depth > 1 && f.Message() != nil && !f.IsList() && !f.IsMap() && has(f.Message(), field, depth-1) {
			return true
		}
	}
	return false
}

// Named is the value of the first field of that name that is set, or what a signed request
// says in its place, or empty.
func Named(m protoreflect.Message, field protoreflect.Name) string {
	if v := named(m, field, maxNesting); v != "" {
		return v
	}
	r, ok := signed.Read(named(m, request, 1))
	switch {
	case ok && field == User:
		return r.User
	case ok && field == Device:
		return r.Device
	default:
		return ""
	}
}

func named(m protoreflect.Message, field protoreflect.Name, depth int) (value string) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() || f.IsMap():
		case f.Name() == field && f.Kind() == protoreflect.StringKind:
			value = v.String()
		case f.Message() != nil && depth > 1:
			value = named(v.Message(), field, depth-1)
		}
		return value == ""
	})
	return value
}
