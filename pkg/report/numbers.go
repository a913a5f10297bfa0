package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// numbers are what a report shows, in full precision: strings, whole numbers and floats, of which NaN and infinite ones are
// empty.
type numbers struct {
	header []string
	rows   [][]any
}

func (n *numbers) add(row ...any) { n.rows = append(n.rows, row) }

func (n numbers) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	out.Write(n.header)
	for _, row := range n.rows {
		line := make([]string, len(row))
		for i, v := range row {
			switch v := v.(type) {
			case nil:
			case float64:
				if !math.IsNaN(v) {
					line[i] = strconv.FormatFloat(v, 'g', -1, 64)
				}
			default:
				line[i] = fmt.Sprint(v)
			}
		}
		out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// json writes {"caption": …, "columns": […], "rows": [[…], …]}, with null for what is no number.
func (n numbers) json(w io.Writer, caption string) error {
	rows := make([][]any, len(n.rows))
	for i, row := range n.rows {
		rows[i] = make([]any, len(row))
		for j, v := range row {
			if f, ok := v.(float64); !ok || !math.IsNaN(f) && !math.IsInf(f, 0) {
				rows[i][j] = v
			}
		}
	}
	data, err := json.Marshal(struct {
		Caption string   `json:"caption"`
		Columns []string `json:"columns"`
		Rows    [][]any  `json:"rows"`
	}{caption, n.header, rows})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}
