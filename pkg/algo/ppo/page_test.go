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
	return "ours: " + game, r.Method
}

func method(r *run.Run) string { return r.Method }

// The tables of docs/systems are what reports make of docs/results. On a failure the test prints the table that the page
// should show.
func TestPages(t *testing.T) {
	var games []string
	for _, m := range []string{"steer", "mat", "mappo", "happo", "step", "biac-deep"} {
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
		list, err := c.runs.List()
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile("../../../docs/systems/" + c.page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			t.Logf("%s.md: no runs are stored for the table %q", c.page, c.table)
			continue
		}
		var want bytes.Buffer
		if err := c.make(c.runs).Render(&want, "md"); err != nil {
			t.Errorf("the table %q: %v", c.table, err)
		} else if !strings.Contains(string(page), strings.TrimSpace(want.String())) {
			t.Errorf("docs/systems/%s.md does not show the table %q as it is made of the stored runs:\n\n%s", c.page, c.table, &want)
		}
	}
}
