package contract

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// full is a message whose fields are all set, two levels deep.
func full(d protoreflect.MessageDescriptor, depth int) protoreflect.Message {
	m := dynamicpb.NewMessage(d)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.IsMap():
		case f.IsList():
			l := m.Mutable(f).List()
			for range 3 {
				if f.Message() != nil && depth > 0 {
					l.Append(protoreflect.ValueOfMessage(full(f.Message(), depth-1)))
				} else if f.Message() == nil {
					l.Append(other(f, l.NewElement(), 3))
				}
			}
		case f.Message() != nil:
			if depth > 0 {
				m.Set(f, protoreflect.ValueOfMessage(full(f.Message(), depth-1)))
			}
		default:
			m.Set(f, other(f, f.Default(), 3))
		}
	}
	return m
}

// paths are those of all fields, two levels deep, that can be changed.
func paths(d protoreflect.MessageDescriptor, depth int) (all []string) {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsMap() {
			continue
		}
		all = append(all, string(f.Name()))
		if f.Message() != nil && depth > 0 {
			for _, p := range paths(f.Message(), depth-1) {
				all = append(all, string(f.Name())+"."+p)
			}
		}
	}
	return all
}

// TestFLT01_EachFieldOfEachContractBecomesAnother: of messages that are empty, and of ones
// that have everything, and the rest of the message stays readable.
func TestFLT01_EachFieldOfEachContractBecomesAnother(t *testing.T) {
	changed := 0
	for component := range Packages() {
		for _, m := range Methods(component) {
			for _, request := range []bool{true, false} {
				d := m.side(request)
				for _, path := range paths(d, 1) {
					for _, msg := range []proto.Message{dynamicpb.NewMessage(d), full(d, 1).Interface()} {
						before, err := proto.Marshal(msg)
						if err != nil {
							t.Fatal(err)
						}
						for _, draw := range []uint64{0, 1, 12345678901234567} {
							after, err := m.Corrupt(request, path, before, draw)
							if err != nil {
								t.Fatalf("%s %s: %v", m.Name, path, err)
							}
							got, err := m.Message(request, after)
							was, err2 := m.Message(request, before)
							if err != nil || err2 != nil || proto.Equal(got.Interface(), was.Interface()) {
								t.Fatalf("%s %s by %d: %v is as before, %v", m.Name, path, draw, got, err)
							}
							changed++
						}
					}
				}
			}
		}
	}
	if changed < 1000 {
		t.Errorf("%d fields were changed", changed)
	}
}

func TestPathsThatLeadNowhereAreRefused(t *testing.T) {
	var m Method
	for _, one := range Methods("tpm-agent") {
		if strings.HasSuffix(one.Name, "PRTKeyService/SignTokenRequest") {
			m = one
		}
	}
	for path, says := range map[string]string{"": "has no field", "no": "it has partition", "partition.no": "has no field no", "request.x": ""} {
		err := m.CanCorrupt(true, path)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", path, err)
		}
		if _, err := m.Corrupt(true, path, nil, 0); err == nil {
			t.Errorf("%q was changed", path)
		}
	}
	if _, err := m.Corrupt(false, "request", []byte{0xff}, 0); err == nil {
		t.Error("what is no message was changed")
	}
}

func TestWhoIsNamedIsFound(t *testing.T) {
	found := 0
	for component := range Packages() {
		for _, m := range Methods(component) {
			if !m.CanName(User) {
				continue
			}
			found++
			b, err := proto.Marshal(full(m.desc.Input(), 2).Interface())
			if err != nil {
				t.Fatal(err)
			}
			msg, err := m.Message(true, b)
			if err != nil || Named(msg, User) != "x" {
				t.Errorf("%s: %q, %v", m.Name, Named(msg, User), err)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d requests name a user", found)
	}
}
