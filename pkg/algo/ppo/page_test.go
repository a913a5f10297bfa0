package ppo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// summaries are the runs below docs/results that match any of the patterns.
func summaries(t *testing.T, patterns ...string) run.Runs {
	t.Helper()
	var list []*run.Run
	for _, p := range patterns {
		dirs, err := filepath.Glob(filepath.Join("../../../docs/results", filepath.FromSlash(p)))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			r, err := run.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
	}
	return run.Of(list...)
}

// setting is the row of a run on a game, and its method the column.
func setting(r *run.Run) (row, column string) {
	game := strings.TrimPrefix(r.World, "matrix/")
	if method, released := strings.CutSuffix(r.Method, "-released"); released {
		return "released: " + game, method
	}
	if method, slow := strings.CutSuffix(r.Method, "-slow"); slow {
		return "ours, a tenth of the learning rate: " + game, method
	}
	return "ours: " + game, r.Method
}

func method(r *run.Run) string { return r.Method }

// The tables of docs/systems are what reports make of docs/results. With MUSTER_PAGES=write the test puts them there.
func TestPages(t *testing.T) {
	var games []string
	for _, m := range []string{"steer", "mat", "mappo", "mappo-slow", "happo", "step", "biac-deep"} {
		for _, w := range []string{"mixing*", "climbing", "skewed-*"} {
			games = append(games, "steer/"+m+"/matrix/"+w+"/*", "steer/"+m+"-released/matrix/"+w+"/*")
		}
	}
	solutions := map[string]float64{"matrix/coordination": 26.5, "matrix/cooperation": 13}
	firms := func(n string) []string {
		return []string{"steer/steer/oligopoly/" + n + "/*", "steer/ippo/oligopoly/" + n + "/*"}
	}
	sold := []report.Quantity{report.MeanOf("1", "quantity_1"), report.MeanOf("2", "quantity_2"), report.MeanOf("3", "quantity_3")}
	reference := func(p Published, runs run.Runs, rows ...report.Quantity) report.Comparison {
		return report.Against(report.Published(p), runs, method, rows...).Called("reference")
	}
	returns := report.MeanOf("return", "return")
	for _, c := range []struct {
		page, table string
		runs        run.Runs
		make        func(run.Runs) report.Report
	}{
		{"steer", "games", summaries(t, games...), func(r run.Runs) report.Report {
			return report.Attained(r, "stackelberg", setting).Beside(report.Counts(ReferenceGames()))
		}},
		{"steer", "games of several steps", summaries(t, "steer/*/matrix/coordination/*", "steer/*/matrix/cooperation/*"), func(r run.Runs) report.Report {
			return report.Attained(r, "return", setting).Least(solutions).Beside(report.Counts(ReferenceNStep()))
		}},
		{"steer", "two sellers", summaries(t, firms("2")...), func(r run.Runs) report.Report {
			return reference(ReferenceMarket(), r, sold[:2]...).Decimals(3)
		}},
		{"steer", "three sellers", summaries(t, firms("3")...), func(r run.Runs) report.Report {
			return reference(ReferenceMarket3(), r, sold...).Decimals(3)
		}},
		{"steer", "spread", summaries(t, "steer/steer/particle/spread-steer/*", "steer/mat/particle/spread-steer/*", "steer/mappo/particle/spread-steer/*"), func(r run.Runs) report.Report {
			return reference(ReferenceSpread(), r, report.MeanOf("1,024,000", "return")).Decimals(1)
		}},
		{"steer", "LQ team", summaries(t, "steer/*/lqteam/6/*"), func(r run.Runs) report.Report {
			return report.Results("returns of the LQ team", r, method, returns, report.MeanOf("optimum of the same episodes", "optimum"))
		}},
		{"steer", "highway", summaries(t, "steer/*/highway/*/*"), func(r run.Runs) report.Report {
			return report.Results("merging", r, nil, returns, report.MeanOf("crashed", "crashed"), report.MeanOf("speed, m/s", "speed"))
		}},
		{"mappo", "3m", summaries(t, "mappo/*/battle/3m/*"), func(r run.Runs) report.Report { return report.WinRates(r, nil) }},
	} {
		text, table := "No runs are stored for this table yet.", bytes.Buffer{}
		if list, err := c.runs.List(); err != nil {
			t.Fatal(err)
		} else if len(list) > 0 {
			if err := c.make(c.runs).Render(&table, "md"); err != nil {
				t.Errorf("the table %q: %v", c.table, err)
				continue
			}
			text = strings.TrimSpace(table.String())
		}
		file := "../../../docs/systems/" + c.page + ".md"
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, begun := strings.Cut(string(page), "<!-- "+c.table+" -->\n")
		shown, tail, ended := strings.Cut(rest, "\n<!-- end -->")
		switch {
		case !begun || !ended:
			t.Errorf("%s has no place for the table %q", file, c.table)
		case shown == text:
		case os.Getenv("MUSTER_PAGES") == "write":
			whole := head + "<!-- " + c.table + " -->\n" + text + "\n<!-- end -->" + tail
			if err := os.WriteFile(file, []byte(whole), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s does not show the table %q as the stored runs make it; MUSTER_PAGES=write go test ./pkg/algo/ppo -run TestPages writes it:\n\n%s", file, c.table, text)
		}
	}
}
