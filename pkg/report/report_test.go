package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// store writes a run directory below MUSTER_RUNS as training does: identity, metrics, evaluations.
func store(t testing.TB, method, world string, seed uint64, metrics []string, evals ...run.Evaluation) {
	t.Helper()
	dir := run.Path(method, world, seed)
	write := func(name string, lines ...string) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("config.json", fmt.Sprintf(`{"format":1,"method":%q,"world":%q,"seed":%d,"goal":1000}`, method, world, seed))
	if len(metrics) > 0 {
		write("metrics.jsonl", metrics...)
	}
	var lines []string
	for _, e := range evals {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	if lines != nil {
		write("eval.jsonl", lines...)
	}
}

// lines are metrics with one value at 100, 200, 300, … steps.
func lines(metric string, values ...float64) []string {
	var out []string
	for i, v := range values {
		out = append(out, fmt.Sprintf(`{"steps":%d,"updates":%d,"seconds":%d,%q:%g}`, 100*(i+1), i+1, i, metric, v))
	}
	return out
}

func render(t testing.TB, r Report, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Render(&b, format); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.String()
}

// wants fails unless each part is in s.
func wants(t testing.TB, s string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(s, p) {
			t.Errorf("want %q in:\n%s", p, s)
		}
	}
}

// refuses fails unless Render returns one line with each part.
func refuses(t testing.TB, r Report, format string, parts ...string) {
	t.Helper()
	err := r.Render(&bytes.Buffer{}, format)
	if err == nil {
		t.Errorf("%s: no error, want one about %q", format, parts)
		return
	}
	wants(t, err.Error(), parts...)
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("an error of several lines: %q", err)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 5: "5", -1234567: "-1,234,567", 96.824: "96.82", 0.30000000004: "0.3", 0.0123456: "0.01235",
		1234.5: "1,235", 999.96: "1,000", 1e-6: "1e-06", -2.5: "-2.5",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 80_000, "0 20k 40k 60k 80k"},
		{0, 3_000_000, "0 0.5M 1M 1.5M 2M 2.5M 3M"},
		{0, 1, "0 0.2 0.4 0.6 0.8 1.0"},
		{-60, 1040, "0 250 500 750 1,000"},
		{-1, 1, "–1.0 –0.5 0 0.5 1.0"},
		{3, 3, "3"},
	} {
		most := 5
		if c.high > 2000 {
			most = 6
		}
		var got []string
		for _, tick := range (ticks{most}).Ticks(c.low, c.high) {
			got = append(got, tick.Label)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("ticks of [%v, %v]: %v, want %s", c.low, c.high, got, c.want)
		}
	}
}

// What a PDF cannot write it spells, instead of two wrong letters.
func TestLatin(t *testing.T) {
	for text, want := range map[string]string{
		"95 % – naïve, V = 2 × 3 †": "95 % – naïve, V = 2 × 3 †", "share above τ": "share above tau", "ε = 0.1, Δ": "epsilon = 0.1, Delta", "−1": "–1", "∞": "inf", "方法 a": "?? a",
	} {
		if got := latin(text); got != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
	}
}
