package contract

import (
	"fmt"
	"math/bits"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// CanCorrupt says why a message of the method has no field of this path; nil is that it
// has. Names stand with dots between; a list stands for one of its elements.
func (m Method) CanCorrupt(request bool, path string) error {
	at := m.side(request)
	parts := strings.Split(path, ".")
	for i, part := range parts {
		f := at.Fields().ByName(protoreflect.Name(part))
		switch {
		case f == nil:
			return fmt.Errorf("%s has no field %s: it has %s", at.FullName(), part, names(at))
		case f.IsMap():
			return fmt.Errorf("%s is a map, which no path leads into", f.FullName())
		case i < len(parts)-1 && f.Message() == nil:
			return fmt.Errorf("%s has no fields: end the path with it", f.FullName())
		}
		at = f.Message()
	}
	return nil
}

func names(d protoreflect.MessageDescriptor) string {
	if d.Fields().Len() == 0 {
		return "none"
	}
	var all []string
	for i := range d.Fields().Len() {
		all = append(all, string(d.Fields().Get(i).Name()))
	}
	return strings.Join(all, ", ")
}

// Corrupt changes the field of a path in a message of the method, which CanCorrupt, and
// returns the message with it. draw chooses which bit, which element, which character.
// Always something changes: what is not set is set.
func (m Method) Corrupt(request bool, path string, b []byte, draw uint64) ([]byte, error) {
	if err := m.CanCorrupt(request, path); err != nil {
		return nil, err
	}
	msg, err := m.Message(request, b)
	if err != nil {
		return nil, fmt.Errorf("a message of %s cannot be read: %w", m.Name, err)
	}
	corrupt(msg, strings.Split(path, "."), draw)
	return proto.Marshal(msg.Interface())
}

func corrupt(m protoreflect.Message, path []string, draw uint64) {
	f := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	last := len(path) == 1
	switch {
	case f.IsList():
		corruptElement(m.Mutable(f).List(), f, path, draw)
	case !last:
		corrupt(m.Mutable(f).Message(), path[1:], draw)
	case f.Message() != nil && m.Has(f):
		m.Clear(f)
	case f.Message() != nil:
		m.Set(f, m.NewField(f))
	default:
		m.Set(f, other(f, m.Get(f), draw))
	}
}

func corruptElement(l protoreflect.List, f protoreflect.FieldDescriptor, path []string, draw uint64) {
	if l.Len() == 0 {
		l.Append(l.NewElement())
		if f.Message() != nil && len(path) == 1 {
			return // one element more is change enough
		}
	}
	i := int(draw % uint64(l.Len()))
	switch {
	case len(path) > 1:
		corrupt(l.Get(i).Message(), path[1:], draw)
	case f.Message() != nil: // the drawn element is lost
		for j := i; j < l.Len()-1; j++ {
			l.Set(j, l.Get(j+1))
		}
		l.Truncate(l.Len() - 1)
	default:
		l.Set(i, other(f, l.Get(i), draw))
	}
}

// other is a value of the field's kind that is not v.
func other(f protoreflect.FieldDescriptor, v protoreflect.Value, draw uint64) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(!v.Bool())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(otherText(v.String(), draw))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(otherBytes(v.Bytes(), draw))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(otherEnum(f.Enum(), v.Enum()))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(int32(v.Int()) ^ 1<<(draw%16)) // the kind bounds it
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(v.Int() ^ 1<<(draw%16))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(v.Uint()) ^ 1<<(draw%16)) // the kind bounds it
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(v.Uint() ^ 1<<(draw%16))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(v.Float()) + 1)
	default: // a double; messages are not values
		return protoreflect.ValueOfFloat64(v.Float() + 1)
	}
}

// otherText replaces one character by a letter, so that the text stays one.
func otherText(s string, draw uint64) string {
	runes := []rune(s)
	if len(runes) == 0 {
		return "x"
	}
	i := place(draw, len(runes))
	if runes[i] == 'x' {
		runes[i] = 'y'
	} else {
		runes[i] = 'x'
	}
	return string(runes)
}

// otherBytes turns one bit over.
func otherBytes(b []byte, draw uint64) []byte {
	if len(b) == 0 {
		return []byte{byte(draw)}
	}
	out := append([]byte(nil), b...)
	out[place(draw, len(b))] ^= 1 << (draw % 8)
	return out
}

// place is where among n a draw falls. Its upper bits say so: the same draw falls at the
// same part of a text that is a little longer today.
func place(draw uint64, n int) int {
	hi, _ := bits.Mul64(draw, uint64(n))
	return int(hi)
}

// otherEnum is the next value that the contract has.
func otherEnum(d protoreflect.EnumDescriptor, n protoreflect.EnumNumber) protoreflect.EnumNumber {
	values := d.Values()
	for i := range values.Len() {
		if values.Get(i).Number() == n {
			if next := values.Get((i + 1) % values.Len()).Number(); next != n {
				return next
			}
		}
	}
	return n + 1
}
