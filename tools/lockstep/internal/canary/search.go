package canary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"slices"
)

const (
	// filterBits is the size of the filter that most positions fail, log 2.
	filterBits = 25
	// step is how far apart the positions are that are looked at, in bytes, and how
	// many bytes are compared there first. Wherever a piece lies, one of them is the
	// start of step bytes within its first part.
	step = 8
	// window is read at once, in bytes.
	window = 1 << 20
	// longest bounds a piece, in bytes; a multiple of step.
	longest = 64
)

// Needles are the keys to search for.
type Needles struct {
	filter []uint64
	// inside finds pieces by step bytes within them.
	inside map[uint64][]needle
}

type needle struct {
	key, form string
	piece     []byte
	// at is where in the piece those bytes are.
	at int
}

// NewNeedles prepares a search for all keys in all their forms.
func NewNeedles(keys []Key) (*Needles, error) {
	n := &Needles{filter: make([]uint64, 1<<filterBits/64), inside: map[uint64][]needle{}}
	for _, k := range keys {
		all, err := forms(k.Bytes)
		if err != nil {
			return nil, err
		}
		for _, f := range all {
			for _, p := range f.pieces {
				if len(p) < 2*step-1 || len(p) > longest {
					return nil, errors.New("a piece is too short, or longer than what is kept between two reads")
				}
				for at := range step {
					bits := binary.LittleEndian.Uint64(p[at:])
					n.inside[bits] = append(n.inside[bits], needle{k.Name, f.name, p, at})
					n.filter[bits%(1<<filterBits)/64] |= 1 << (bits % 64)
				}
			}
		}
	}
	return n, nil
}

// Found is a piece of a key where it was found.
type Found struct {
	Key, Form string
	// At is the offset in what was read.
	At int64
}

// In searches all of r.
func (n *Needles) In(r io.Reader) ([]Found, error) {
	var found []Found
	// What was looked at stays in front, because a piece may begin there.
	buf, base, end := make([]byte, longest+window+longest), int64(-longest), longest
	for from := longest; ; {
		got, err := io.ReadFull(r, buf[end:])
		end += got
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return nil, err
		}
		stop := end - longest // later positions are looked at when more is there
		if last {
			stop = end - step + 1
		}
		i := from
		for ; i < stop; i += step {
			bits := binary.LittleEndian.Uint64(buf[i:])
			if n.filter[bits%(1<<filterBits)/64]&(1<<(bits%64)) == 0 {
				continue
			}
			for _, d := range n.inside[bits] {
				if bytes.HasPrefix(buf[i-d.at:end], d.piece) {
					found = append(found, Found{d.key, d.form, base + int64(i-d.at)})
				}
			}
		}
		if last {
			return found, nil
		}
		base += int64(i - longest)
		end, from = copy(buf, buf[i-longest:end]), longest
	}
}

// Summary counts what was found, by key and form.
func Summary(found []Found) []string {
	count := map[string]int{}
	for _, f := range found {
		count[f.Key+", "+f.Form]++
	}
	return slices.Sorted(maps.Keys(count))
}
