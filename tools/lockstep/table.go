package main

import (
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// cellWidth is where the text of a cell wraps, in columns.
const cellWidth = 70

// maxColumns is more than any table has.
const maxColumns = 16

// showTable shows rows under their names, in the style of every table here.
func showTable(out io.Writer, title string, head table.Row, rows []table.Row) {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	if title != "" {
		t.SetTitle(title)
	}
	if head != nil {
		t.AppendHeader(head)
	}
	var columns []table.ColumnConfig
	for i := range maxColumns {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: cellWidth, WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	t.AppendRows(rows)
	t.Render()
}
