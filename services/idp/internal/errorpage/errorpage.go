// Package errorpage explains error codes: the page that error_uri of every
// refusal leads to. It knows the codes that Windows shows of the same failures too.
//
// What lives here: one page for a code and one for all, as HTML or JSON. What
// never may: anything about a particular request, which a page that needs no
// sign-in would show to everybody. The HTTP front serves it as /error.
package errorpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

//go:embed page.html
var page string

//go:embed page.css
var style string

// view is what the page shows: one row, all rows, or a message.
type view struct {
	Row     *aadsts.Row
	V1      string
	SubV1   string
	Test    string
	Rows    []aadsts.Row
	Windows *wincode.Row
	// WindowsRows are all of them.
	WindowsRows []wincode.Row
	Message     string
}

type handler struct {
	page   *template.Template
	policy string
}

// Handler serves /error?code=N, and the whole table without a code. The answer
// is JSON for clients that accept nothing else.
func Handler() (http.Handler, error) {
	t, err := template.New("error").Parse(strings.Replace(page, "/* page.css */", style, 1))
	if err != nil {
		return nil, fmt.Errorf("error page: %w", err)
	}
	sum := sha256.Sum256([]byte(style))
	return &handler{page: t, policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}, nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.answer(w, r, http.StatusMethodNotAllowed, view{Message: "This page is read with GET."})
		return
	}
	asked := r.URL.Query().Get("code")
	if asked == "" {
		h.answer(w, r, http.StatusOK, view{Rows: aadsts.Table(), WindowsRows: wincode.Table()})
		return
	}
	code, err := aadsts.Parse(asked)
	if err != nil {
		if row, known := windows(asked); known {
			h.answer(w, r, http.StatusOK, view{Windows: &row})
			return
		}
		h.answer(w, r, http.StatusBadRequest, view{Message: "The parameter code is not an error code: use a number, such as code=50126, or a code of Windows, such as code=0xc000006d."})
		return
	}
	row, ok := aadsts.Lookup(code)
	if found, known := windows(asked); !ok && known {
		h.answer(w, r, http.StatusOK, view{Windows: &found})
		return
	}
	if !ok {
		h.answer(w, r, http.StatusNotFound, view{Message: code.String() + " is not a code that this service answers with: look at the list of all codes."})
		return
	}
	v := view{Row: &row, Test: testOf(row)}
	v.V1, v.SubV1 = row.V1()
	h.answer(w, r, http.StatusOK, v)
}

// windows finds a code that Windows shows.
func windows(asked string) (wincode.Row, bool) {
	code, err := wincode.Parse(asked)
	if err != nil {
		return wincode.Row{}, false
	}
	return wincode.Lookup(code)
}

// testOf is the command that runs the tests which meet the code, or "".
func testOf(r aadsts.Row) string {
	if r.Rows == "" {
		return ""
	}
	return "go test ./... -run '" + strings.Join(r.Proofs(), "|") + "'"
}

// answer writes the whole body at once: some clients cannot read a chunked one.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, status int, v view) {
	var body bytes.Buffer
	head := w.Header()
	if accept := r.Header.Get("Accept"); strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html") {
		head.Set("Content-Type", "application/json; charset=utf-8")
		if err := json.NewEncoder(&body).Encode(v.data()); err != nil {
			http.Error(w, "the row cannot be written", http.StatusInternalServerError)
			return
		}
	} else {
		head.Set("Content-Type", "text/html; charset=utf-8")
		if err := h.page.Execute(&body, v); err != nil {
			http.Error(w, "the page cannot be written", http.StatusInternalServerError)
			return
		}
	}
	head.Set("Content-Security-Policy", h.policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Vary", "Accept")
	head.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = body.WriteTo(w)
}

func (v view) data() any {
	switch {
	case v.Row != nil:
		return v.Row
	case v.Windows != nil:
		return v.Windows
	case v.Rows != nil:
		return v.Rows
	default:
		return map[string]string{"message": v.Message}
	}
}
