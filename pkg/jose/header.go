package jose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// isForbidden names the members that would let a token choose keys or change how
// it is read (RFC 7515 4.1, RFC 7516 4.1.3, RFC 7797 3).
func isForbidden(name string) bool {
	switch name {
	case "crit", "jku", "x5u", "jwk", "zip", "b64":
		return true
	}
	return false
}

// parseHeader reads a header. Members it does not know are harmless and skipped;
// the ones it knows must have the right type.
func parseHeader(raw []byte) (Header, error) {
	var m map[string]json.RawMessage
	if err := DecodeObject(raw, &m); err != nil {
		return Header{}, fmt.Errorf("header: %w", err)
	}
	for name := range m {
		if isForbidden(name) {
			return Header{}, fmt.Errorf("%w: header member %s is not taken", ErrMalformed, name)
		}
	}
	var h Header
	for _, f := range []struct {
		name string
		read func(json.RawMessage) error
	}{
		{"alg", text(&h.Alg)}, {"typ", text(&h.Typ)}, {"kid", text(&h.Kid)}, {"x5t", text(&h.X5T)}, {"use", text(&h.Use)},
		{"ctx", h.readCtx}, {"kdf_ver", h.readKDFVer}, {"x5c", h.readX5C},
	} {
		v, ok := m[f.name]
		if !ok {
			continue
		}
		if err := f.read(v); err != nil {
			return Header{}, fmt.Errorf("header member %s: %w", f.name, err)
		}
	}
	if h.Alg == "" {
		return Header{}, fmt.Errorf("%w: header has no alg", ErrMalformed)
	}
	return h, nil
}

func text(into *string) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		s, err := Text(v)
		if err == nil {
			*into = s
		}
		return err
	}
}

func (h *Header) readCtx(v json.RawMessage) error {
	s, err := Text(v)
	if err != nil {
		return err
	}
	b, err := DecodeStd(s)
	if err != nil {
		return err
	}
	h.Ctx = b
	return checkCtx(b)
}

func checkCtx(b []byte) error {
	if len(b) < MinContext || len(b) > MaxContext {
		return fmt.Errorf("%w: ctx is not %d to %d bytes", ErrMalformed, MinContext, MaxContext)
	}
	return nil
}

// readKDFVer takes the JSON integers 1, 2 and 3 and no other way to write them: a
// string or a fraction is how a downgrade would be smuggled past another reader.
func (h *Header) readKDFVer(v json.RawMessage) error {
	switch string(v) {
	case "1":
		h.KDFVer = 1
	case "2":
		h.KDFVer = 2
	case "3":
		h.KDFVer = 3
	default:
		return fmt.Errorf("%w: not the integer 1, 2 or 3", ErrMalformed)
	}
	return nil
}

// readX5C takes one certificate, as a string (Windows, ROADtools) or as an
// array of one string (RFC 7515, libhimmelblau). A chain is refused: who issued
// the certificate is known, and the token has no say in it.
func (h *Header) readX5C(v json.RawMessage) error {
	one, err := Text(v)
	if err != nil {
		var list []json.RawMessage
		if json.Unmarshal(v, &list) != nil || len(list) != 1 {
			return fmt.Errorf("%w: not exactly one certificate", ErrMalformed)
		}
		if one, err = Text(list[0]); err != nil {
			return err
		}
	}
	der, err := DecodeStd(one)
	if err != nil {
		return err
	}
	if len(der) == 0 {
		return fmt.Errorf("%w: empty certificate", ErrMalformed)
	}
	h.X5C = [][]byte{der}
	return nil
}

// marshal writes the header in a fixed order: alg, typ, kid, use, ctx, kdf_ver, x5c.
func (h Header) marshal() ([]byte, error) {
	w := struct {
		Alg    string   `json:"alg"`
		Typ    string   `json:"typ,omitempty"`
		X5T    string   `json:"x5t,omitempty"`
		Kid    string   `json:"kid,omitempty"`
		Use    string   `json:"use,omitempty"`
		Ctx    string   `json:"ctx,omitempty"`
		KDFVer int      `json:"kdf_ver,omitempty"`
		X5C    []string `json:"x5c,omitempty"`
	}{Alg: h.Alg, Typ: h.Typ, X5T: h.X5T, Kid: h.Kid, Use: h.Use, KDFVer: h.KDFVer}
	if h.Ctx != nil {
		if err := checkCtx(h.Ctx); err != nil {
			return nil, err
		}
		w.Ctx = base64.StdEncoding.EncodeToString(h.Ctx)
	}
	if h.KDFVer < 0 || h.KDFVer > 3 {
		return nil, fmt.Errorf("%w: kdf_ver is not 0, 1, 2 or 3", ErrMalformed)
	}
	if len(h.X5C) > 1 {
		return nil, fmt.Errorf("%w: x5c has more than one certificate", ErrMalformed)
	}
	for _, der := range h.X5C {
		w.X5C = append(w.X5C, base64.StdEncoding.EncodeToString(der))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("token header: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
