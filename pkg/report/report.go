// Package report turns run directories into figures and tables, for notebooks, papers and README files: learning curves,
// performance profiles, aggregates with intervals, bars, boxes, heat maps, replays, comparisons with published numbers, win
// rates, ablations and times to a threshold. Export and Import exchange results with other libraries.
//
// A report is a value. What is wrong with its runs waits in the value and comes out of Render, so that cells
// compose without checks. Figures use the palette of Okabe and Ito (2008), which colour-blind readers can tell
// apart, and dashes or lightness for printers without colours.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Report is a figure or a table that can be written in some formats.
type Report interface {
	// Formats lists what Render can write, best first: "png", "pdf", "svg", "html", "text", "md", "csv", "json", "tex".
	Formats() []string
	// Render writes the report in one of its formats.
	Render(w io.Writer, format string) error
}

// known returns an error unless format is one of formats.
func known(format string, formats []string) error {
	if slices.Contains(formats, format) {
		return nil
	}
	last := len(formats) - 1
	return fmt.Errorf("report: unknown format %q, want %s or %s", format, strings.Join(formats[:last], ", "), formats[last])
}

// missing stands in tables where there is no number.
const missing = "–"

// number shows a value with about four significant digits: 12.35, 0.001235, 1,234.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return missing
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "–∞"
	case v == math.Trunc(v) && a < 1e15:
		return Thousands(int64(v))
	case a >= 999.95 && a < 1e15:
		return Thousands(int64(math.Round(v)))
	case a < 1e-4:
		return strconv.FormatFloat(v, 'g', 4, 64)
	default:
		digits := 3 - int(math.Floor(math.Log10(a)))
		return trimZeros(strconv.FormatFloat(v, 'f', digits, 64))
	}
}

// Thousands writes an integer with commas: 1,234,567.
func Thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(s) - 3; i > first; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// plural counts things: "1 seed", "3 seeds".
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return Thousands(int64(n)) + " " + thing
}

// words turns a metric's name into words: "train_return" becomes "train return".
func words(metric string) string { return strings.ReplaceAll(metric, "_", " ") }
