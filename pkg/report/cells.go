package report

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/muster-marl/muster/pkg/stats"
)

// Estimate is a cell with a value and its interval; "csv" gives it three columns.
type Estimate struct {
	Value    float64
	Interval stats.Interval
}

// marked is a cell that stands out: bold, or with a sign behind it.
type marked struct {
	cell any
	bold bool
	sign string // "†"
}

// signed is a difference: a number that is shown with its sign.
type signed float64

// spread is a mean and a standard deviation: "0.531 ± 0.037".
type spread struct{ mean, deviation float64 }

// rate is a share of won episodes: an Estimate that also says how much seeds differ (NaN of one seed), the error of as
// many independent episodes, and of which cell it is.
type rate struct {
	Estimate
	deviation, binomial float64
	cell                string
}

// show writes one cell.
func (t Table) show(v any) string {
	switch v := v.(type) {
	case nil:
		return missing
	case marked:
		return t.show(v.cell) + v.sign
	case string:
		return v
	case float64:
		return t.float(v)
	case float32:
		return t.float(float64(v))
	case signed:
		s := t.float(float64(v))
		if v > 0 && strings.Trim(s, "0.") != "" {
			s = "+" + s
		}
		return s
	case spread:
		if v.deviation != v.deviation {
			return t.float(v.mean)
		}
		return t.float(v.mean) + " ± " + t.float(v.deviation)
	case rate:
		return t.show(v.Estimate)
	case Estimate:
		if v.Value != v.Value {
			return missing
		}
		if v.Interval.Low != v.Interval.Low { // of a single run
			return t.float(v.Value)
		}
		return fmt.Sprintf("%s [%s, %s]", t.float(v.Value), t.float(v.Interval.Low), t.float(v.Interval.High))
	}
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return Thousands(r.Int())
	case r.CanUint() && r.Uint() < 1<<63:
		return Thousands(int64(r.Uint()))
	}
	return fmt.Sprint(v)
}

func (t Table) float(v float64) string {
	if t.Decimals == 0 || v != v {
		return number(v)
	}
	s := strconv.FormatFloat(v, 'f', t.Decimals, 64)
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-") // no negative zero
	}
	return s
}

// plain is a cell without its mark.
func plain(v any) any {
	if m, ok := v.(marked); ok {
		return m.cell
	}
	return v
}

// numeric says whether a column holds numbers only, and so is aligned to the right.
func (t Table) numeric(column int) bool {
	some := false
	for _, row := range t.Rows {
		switch v := plain(row[column]).(type) {
		case string:
			if v != "" {
				return false
			}
		case nil:
		default:
			r := reflect.ValueOf(v)
			if len(parts(v)) == 0 && !r.CanInt() && !r.CanUint() && !r.CanFloat() {
				return false
			}
			some = true
		}
	}
	return some
}

// parts are the names of the columns that a cell has behind its value where all digits are written; nil = none.
func parts(v any) []string {
	switch v.(type) {
	case Estimate:
		return []string{"low", "high"}
	case spread:
		return []string{"deviation"}
	case rate:
		return []string{"low", "high", "deviation", "binomial error", "cell"}
	}
	return nil
}

// numbers have all digits, and all parts of cells that have several.
func (t Table) numbers() numbers {
	columns := make([][]string, len(t.Header))
	for _, row := range t.Rows {
		for j, v := range row {
			if names := parts(plain(v)); names != nil {
				columns[j] = names
			}
		}
	}
	var n numbers
	for j, h := range t.named() {
		n.header = append(n.header, h)
		for _, name := range columns[j] {
			n.header = append(n.header, h+" "+name)
		}
	}
	for _, row := range t.Rows {
		var line []any
		for j, v := range row {
			cell := make([]any, 1+len(columns[j]))
			switch v := plain(v).(type) {
			case Estimate:
				if v.Value == v.Value {
					copy(cell, []any{v.Value, v.Interval.Low, v.Interval.High})
				}
			case spread:
				copy(cell, []any{v.mean, v.deviation})
			case rate:
				copy(cell, []any{v.Value, v.Interval.Low, v.Interval.High, v.deviation, v.binomial, v.cell})
			case float32:
				cell[0] = float64(v)
			case signed:
				cell[0] = float64(v)
			default:
				cell[0] = v
			}
			line = append(line, cell...)
		}
		n.rows = append(n.rows, line)
	}
	return n
}
