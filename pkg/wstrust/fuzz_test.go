package wstrust_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/wstrust"
)

// named says whether an error is one of the package's own.
func named(err error) bool {
	var fault *wstrust.Fault
	for _, e := range []error{
		wstrust.ErrSize, wstrust.ErrEncoding, wstrust.ErrMarkup, wstrust.ErrMalformed, wstrust.ErrBounds,
		wstrust.ErrShape, wstrust.ErrNotUnderstood, wstrust.ErrMustUnderstand,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &fault)
}

// A request that is taken says the same when it is written anew.
func FuzzReadRequest(f *testing.F) {
	for _, name := range []string{"request-13.xml", "request-2005.xml", "request-roadlib-13.xml", "request-msalgo-13.xml"} {
		f.Add([]byte(read(f, name)))
	}
	for _, h := range hostileRequests(f) {
		if len(h.xml) < 1<<14 {
			f.Add([]byte(h.xml))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := wstrust.ReadRequest(raw)
		if err != nil {
			if !named(err) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		if r.Username == "" || r.AppliesTo == "" || r.Version.Action() == "" {
			t.Fatalf("taken: %+v", r)
		}
		if r.MessageID == "" || r.To == "" || r.Created.IsZero() {
			return
		}
		xml, err := r.Encode()
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", r, err)
		}
		again, err := wstrust.ReadRequest([]byte(xml.Reveal()))
		if err != nil || again.Username != r.Username || !again.Password.Equal(r.Password) || again.AppliesTo != r.AppliesTo || again.To != r.To {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

// An assertion that is taken is a piece of the answer, and survives being passed on.
func FuzzReadAnswer(f *testing.F) {
	for _, name := range []string{"answer-13.xml", "answer-2005.xml", "fault.xml"} {
		f.Add([]byte(read(f, name)))
	}
	for _, h := range hostileAnswers(f) {
		if len(h.xml) < 1<<14 {
			f.Add([]byte(h.xml))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := wstrust.ReadAnswer(raw)
		if err != nil {
			if !named(err) || !r.Assertion.Empty() {
				t.Errorf("an error without a name, or a token beside it: %v", err)
			}
			return
		}
		if r.Assertion.Empty() || !bytes.Contains(raw, []byte(r.Assertion.Reveal())) {
			t.Fatal("the assertion is not of the answer")
		}
		if r.AppliesTo == "" || r.Created.IsZero() {
			return
		}
		xml, err := r.Encode()
		if errors.Is(err, wstrust.ErrSize) {
			return
		}
		if err != nil {
			t.Fatalf("%+v cannot be written: %v", r, err)
		}
		if again, err := wstrust.ReadAnswer([]byte(xml.Reveal())); err == nil && !again.Assertion.Equal(r.Assertion) || err != nil && !errors.Is(err, wstrust.ErrSize) && !errors.Is(err, wstrust.ErrBounds) {
			t.Errorf("passed on, the assertion is another: %v", err)
		}
	})
}

// Endpoints that are taken can be written and read again.
func FuzzReadMetadata(f *testing.F) {
	f.Add([]byte(read(f, "mex.xml")))
	for _, h := range hostileMetadata(f) {
		if len(h.xml) < 1<<15 {
			f.Add([]byte(h.xml))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := wstrust.ReadMetadata(raw)
		if err != nil {
			if !named(err) {
				t.Errorf("an error without a name: %v", err)
			}
			return
		}
		for _, e := range m.Endpoints {
			one := wstrust.Metadata{Endpoints: []wstrust.Endpoint{e}}
			xml, err := one.Encode()
			if err != nil {
				t.Fatalf("%+v cannot be written: %v", e, err)
			}
			if again, err := wstrust.ReadMetadata(xml); err != nil || len(again.Endpoints) != 1 || again.Endpoints[0] != e {
				t.Errorf("%+v became %+v, %v", e, again, err)
			}
		}
	})
}
