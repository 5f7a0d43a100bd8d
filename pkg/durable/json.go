package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// DecodeJSON reads a file of one JSON value as from a stranger: members that v does not
// have are refused, and so is what follows the value. Errors never quote the file, which
// may hold secrets.
func DecodeJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New("it is not whole JSON of the expected form")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it goes on after its end")
	}
	return nil
}
