package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
)

func errorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "error [CODE]...",
		Short:   "Explain error codes such as 50126 or AADSTS50126; without one list all",
		Example: "  lockstep error 50126\n  lockstep error AADSTS50076 AADSTS50097 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			rows, err := errorRows(args)
			if err != nil {
				return err
			}
			switch out := cmd.OutOrStdout(); {
			case asJSON:
				enc := json.NewEncoder(out)
				for _, r := range rows {
					if err := enc.Encode(r); err != nil {
						return err
					}
				}
			case len(args) == 0:
				listErrors(out, rows)
			default:
				for _, r := range rows {
					explainError(out, r)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a code: code, name, meaning, http_status, error, suberror, error_v1, page, rows")
	return cmd
}

// errorRows finds every code before anything is printed.
func errorRows(args []string) ([]aadsts.Row, error) {
	if len(args) == 0 {
		return aadsts.Table(), nil
	}
	rows := make([]aadsts.Row, 0, len(args))
	for _, arg := range args {
		code, err := aadsts.Parse(arg)
		if err != nil {
			return nil, err
		}
		row, ok := aadsts.Lookup(code)
		if !ok {
			return nil, fmt.Errorf("%v is not in the table: lockstep error lists every code that is", code)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func listErrors(out io.Writer, rows []aadsts.Row) {
	lines := make([]table.Row, 0, len(rows))
	for _, r := range rows {
		lines = append(lines, table.Row{int(r.Code), r.Name, r.HTTPStatus, r.OAuthError, r.Meaning})
	}
	showTable(out, "", table.Row{"code", "name", "HTTP", "error", "meaning"}, lines)
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
