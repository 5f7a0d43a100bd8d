package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

func errorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "error [CODE]...",
		Short:   "Explain error codes such as 50126, AADSTS50126 or 0xc000006d; without one list all",
		Example: "  lockstep error 50126\n  lockstep error 0xc004848c 3399614476 12029\n  lockstep error AADSTS50076 AADSTS50097 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := errorRows(args)
			if err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				enc := json.NewEncoder(out)
				for _, r := range found {
					if err := enc.Encode(r); err != nil {
						return err
					}
				}
			case len(args) == 0:
				listErrors(out)
			default:
				for _, r := range found {
					explainRow(out, r)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a code: code, name, meaning, http_status, error, suberror, error_v1, page, rows; "+
		"of a code of Windows: code, name, meaning, cause, evidence, next, seen, events, made")
	return cmd
}

// errorRows finds every code, an aadsts.Row or a wincode.Row, before anything is printed.
func errorRows(args []string) ([]any, error) {
	var rows []any
	if len(args) == 0 {
		for _, r := range aadsts.Table() {
			rows = append(rows, r)
		}
		for _, r := range wincode.Table() {
			rows = append(rows, r)
		}
		return rows, nil
	}
	for _, arg := range args {
		row, err := errorRow(arg)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func errorRow(arg string) (any, error) {
	code, err := aadsts.Parse(arg)
	if row, ok := aadsts.Lookup(code); err == nil && ok {
		return row, nil
	}
	windows, notWindows := wincode.Parse(arg)
	if row, ok := wincode.Lookup(windows); notWindows == nil && ok {
		return row, nil
	}
	switch {
	case notWindows == nil:
		return nil, fmt.Errorf("%v is not in the table: lockstep error lists every code that is", windows)
	case err == nil:
		return nil, fmt.Errorf("%v is not in the table: lockstep error lists every code that is", code)
	default:
		return nil, fmt.Errorf("%.40q is not an error code: use a number such as 50126, or a code of Windows such as 0xc000006d", arg)
	}
}

func listErrors(out io.Writer) {
	var lines, windows []table.Row
	for _, r := range aadsts.Table() {
		lines = append(lines, table.Row{int(r.Code), r.Name, r.HTTPStatus, r.OAuthError, r.Meaning})
	}
	showTable(out, "", table.Row{"code", "name", "HTTP", "error", "meaning"}, lines)
	for _, r := range wincode.Table() {
		windows = append(windows, table.Row{r.Code, r.Name, r.Seen, r.Meaning})
	}
	showTable(out, "", table.Row{"code of Windows", "name", "seen", "meaning"}, windows)
}

func explainRow(out io.Writer, row any) {
	switch r := row.(type) {
	case aadsts.Row:
		explainError(out, r)
	case wincode.Row:
		explainWindows(out, r)
	}
}

func explainWindows(out io.Writer, r wincode.Row) {
	_, _ = fmt.Fprintf(out, "%v %s\n  %s\n  cause:     %s\n  evidence:  %s\n  next step: %s\n  seen in:   %s\n", r.Code, r.Name, r.Meaning, r.Cause, r.Evidence, r.Next, r.Seen)
	if len(r.Events) > 0 {
		_, _ = fmt.Fprintf(out, "  events:    %s\n", strings.Trim(fmt.Sprint(r.Events), "[]"))
	}
	if !r.Made {
		_, _ = fmt.Fprintln(out, "  of Windows devices; no component here answers with it")
	}
}

func explainError(out io.Writer, r aadsts.Row) {
	form := func(oauth, sub string) string {
		if sub != "" {
			return oauth + ", suberror " + sub
		}
		return oauth
	}
	_, _ = fmt.Fprintf(out, "%v %s\n  %s\n  HTTP %d, error %s\n", r.Code, r.Name, r.Meaning, r.HTTPStatus, form(r.OAuthError, r.SubError))
	if r.OAuthErrorV1 != "" {
		_, _ = fmt.Fprintf(out, "  on the v1 endpoints: error %s\n", form(r.V1()))
	}
	if r.Page {
		_, _ = fmt.Fprintln(out, "  the user meets it on a page, not the application")
	}
	if r.Rows != "" {
		_, _ = fmt.Fprintf(out, "  tests that meet it: %s\n", r.Rows)
	}
}
