package wstrust

import (
	"errors"
	"fmt"
)

// Why a message is not taken. Every error of a reader is one of these, most of
// them wrapped with the name of the place; none repeats a word of the message.
var (
	// ErrSize: empty, or longer than the limit of its kind.
	ErrSize = errors.New("the message is empty or too long")
	// ErrEncoding: not UTF-8, or it says that it is something else.
	ErrEncoding = errors.New("the message is not in UTF-8")
	// ErrMarkup: a DTD, and with it every entity, a comment or a processing
	// instruction.
	ErrMarkup = errors.New("the message has a DTD, a comment or a processing instruction: remove it")
	// ErrMalformed: not well-formed XML.
	ErrMalformed = errors.New("the message is not well-formed XML")
	// ErrBounds: too deep, or too many elements or attributes.
	ErrBounds = errors.New("the message nests too deep or has too many elements or attributes")
	// ErrShape: well-formed, and not what it should be.
	ErrShape = errors.New("the message has not the expected form")
	// ErrNotUnderstood: something that the reader does not know and may not skip.
	ErrNotUnderstood = errors.New("the message has a part that is not understood")
	// ErrMustUnderstand: a header marked mustUnderstand that is not known.
	ErrMustUnderstand = errors.New("a header marked mustUnderstand is not understood: leave it out")
	// ErrCharacter: a value to be written has a character that XML cannot carry.
	ErrCharacter = errors.New("a value has a character that XML cannot carry")
)

func shape(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrShape, fmt.Sprintf(format, args...))
}

func notUnderstood(why string) error { return fmt.Errorf("%w: %s", ErrNotUnderstood, why) }
