package main

import (
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// cellWidth is where the text of a cell wraps, in columns.
const cellWidth = 70

// printTable shows rows under their names, in the style of every table here.
func printTable(out io.Writer, title string, head table.Row, rows []table.Row) {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.SetTitle(title)
	t.AppendHeader(head)
	var columns []table.ColumnConfig
	for i := range head {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: cellWidth, WidthMaxEnforcer: text.WrapSoft})
	}
	t.SetColumnConfigs(columns)
	t.AppendRows(rows)
	t.Render()
}
