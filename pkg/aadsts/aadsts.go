// Package aadsts is the table of the identity provider's error codes: number,
// name, meaning, and how each looks on the OAuth wire. It is data; what makes an
// error of a row is pkg/prterr, what writes it to a wire is that wire's edge.
//
// Numbers, names and meanings are those of the public error reference; where
// the wire form was not observed it follows the neighbours of the same class.
package aadsts

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Code is the number behind AADSTS.
type Code int

// Row is one line of the table. Its JSON form is what the error page and the
// command line print.
type Row struct {
	Code Code `json:"code"`
	// Name is the symbolic name of the public reference.
	Name string `json:"name"`
	// Meaning is one sentence for people, with what to do next.
	Meaning string `json:"meaning"`
	// HTTPStatus of the answer that carries it.
	HTTPStatus int `json:"http_status"`
	// OAuthError and SubError are the members error and suberror of RFC 6749 form
	// on the v2.0 endpoints.
	OAuthError string `json:"error"`
	SubError   string `json:"suberror,omitempty"`
	// OAuthErrorV1 is the member error on the v1 endpoints where it is another
	// one; such an answer has no suberror. See V1.
	OAuthErrorV1 string `json:"error_v1,omitempty"`
	// Page says that the user meets this code on a page; OAuthError is for a
	// request that cannot show one.
	Page bool `json:"page,omitempty"`
	// Rows are the requirements whose tests meet this code, such as "INV01 ISS06";
	// the names of those tests begin with Test and hold the id.
	Rows string `json:"rows,omitempty"`
}

// V1 gives the members error and suberror on the v1 endpoints.
func (r Row) V1() (oauthError, subError string) {
	if r.OAuthErrorV1 != "" {
		return r.OAuthErrorV1, ""
	}
	return r.OAuthError, r.SubError
}

// Interactive says that the user gets past this error by doing something: an
// application goes to the authorization endpoint.
func (r Row) Interactive() bool {
	v1, _ := r.V1()
	return v1 == interaction || v1 == login
}

// Proofs are the ids in Rows.
func (r Row) Proofs() []string { return strings.Fields(r.Rows) }

// String is the code as people search for it.
func (c Code) String() string { return fmt.Sprintf("AADSTS%d", int(c)) }

// Parse reads a code as people write it: 50126 or AADSTS50126, in any case. It
// says nothing about whether the table has it.
func Parse(s string) (Code, error) {
	digits := strings.TrimSpace(s)
	if len(digits) > 6 && strings.EqualFold(digits[:6], "AADSTS") {
		digits = digits[6:]
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%.40q is not an error code: use a number such as 50126, or AADSTS50126", s)
	}
	return Code(n), nil
}

// Lookup finds the row of a code.
func Lookup(c Code) (Row, bool) {
	i, ok := slices.BinarySearchFunc(table[:], c, func(r Row, c Code) int { return cmp.Compare(r.Code, c) })
	if !ok {
		return Row{}, false
	}
	return table[i], true
}

// Table returns all rows, ordered by code. The caller owns the copy.
func Table() []Row { return slices.Clone(table[:]) }
