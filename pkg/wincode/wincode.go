// Package wincode is the table of the codes that Windows shows when sign-in fails:
// HRESULTs and NTSTATUS values of device registration, CloudAP, the token broker, the
// TPM and the network. It is data, beside pkg/aadsts: what each code means here, what
// to look for, what to do next, and which events go with it.
//
// Names and numbers are public facts; the sentences are ours and say how this system
// produces the code. What never may live here: a decision. lsa-cloudap names the end of
// an attempt with it, the command line and the error page explain with it.
package wincode

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Code is a Windows code of 32 bits.
type Code uint32

// String is the code as people search for it.
func (c Code) String() string { return fmt.Sprintf("0x%08x", uint32(c)) }

// Row is one line of the table. Its JSON form is what the error page and the command
// line print.
type Row struct {
	Code Code `json:"code"`
	// Name is the symbolic name, or a short one of ours where none is public.
	Name string `json:"name"`
	// Meaning is one sentence: what happened.
	Meaning string `json:"meaning"`
	// Cause is what is behind it most often.
	Cause string `json:"cause"`
	// Evidence is what to look for, to be sure.
	Evidence string `json:"evidence"`
	// Next is what to do.
	Next string `json:"next"`
	// Seen is where people meet it, such as "status", "events", "join".
	Seen string `json:"seen"`
	// Events are the ids of events that go with it.
	Events []uint32 `json:"events,omitempty"`
	// Made says that a component of this repository answers with it; the others are
	// codes of real devices that people look up.
	Made bool `json:"made"`
}

// MarshalText writes the code as people write it.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

const (
	// WinHTTP's errors, and how they look as HRESULTs.
	firstWinHTTP, lastWinHTTP = 12001, 12190
	winHTTP                   = 0x80070000
)

// Parse reads a code as people write it: 0xC000006D, C000006D, as the decimal number that
// MSAL shows (3399614476, or -2147024894 as a signed number), or as an error of WinHTTP
// (12029). Other decimal numbers need nine digits, so that none is mistaken for an AADSTS
// code.
func Parse(s string) (Code, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	if hex, ok := strings.CutPrefix(text, "0x"); ok || len(text) == 8 && strings.Trim(text, "0123456789abcdef") == "" && strings.Trim(text, "0123456789") != "" {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil && n != 0 {
			return Code(n), nil
		}
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && n >= firstWinHTTP && n <= lastWinHTTP {
		return Code(winHTTP | n), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) >= 9 && n >= -(1<<31) && n < 1<<32 {
		return Code(uint32(n)), nil
	}
	return 0, fmt.Errorf("%.40q is not a Windows code: write it as 0xc000006d", s)
}

// Lookup finds the row of a code.
func Lookup(c Code) (Row, bool) {
	rows := table()
	i, ok := slices.BinarySearchFunc(rows, c, func(r Row, c Code) int { return cmp.Compare(r.Code, c) })
	if !ok {
		return Row{}, false
	}
	return rows[i], true
}

// Table returns all rows, ordered by code. The caller owns the copy.
func Table() []Row { return table() }

// table joins the parts in the order of codes.
func table() []Row {
	rows := slices.Concat(statusRows(), networkRows(), tpmRows(), joinRows(), federationRows(), brokerRows())
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Code, b.Code) })
	return rows
}
