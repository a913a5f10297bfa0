package ppo

import (
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/report/reporttest"
	"github.com/muster-marl/muster/pkg/run"
)

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

// TestPages: the tables of docs/systems are what reports make of docs/results; see reporttest.Table.
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
		{"steer", "games", reporttest.Summaries(t, games...), func(r run.Runs) report.Report {
			return report.Attained(r, "stackelberg", setting).Beside(report.Counts(ReferenceGames()))
		}},
		{"steer", "games of several steps", reporttest.Summaries(t, "steer/*/matrix/coordination/*", "steer/*/matrix/cooperation/*"), func(r run.Runs) report.Report {
			return report.Attained(r, "return", setting).Least(solutions).Beside(report.Counts(ReferenceNStep()))
		}},
		{"steer", "two sellers", reporttest.Summaries(t, firms("2")...), func(r run.Runs) report.Report {
			return reference(ReferenceMarket(), r, sold[:2]...).Decimals(3)
		}},
		{"steer", "three sellers", reporttest.Summaries(t, firms("3")...), func(r run.Runs) report.Report {
			return reference(ReferenceMarket3(), r, sold...).Decimals(3)
		}},
		{"steer", "spread", reporttest.Summaries(t, "steer/steer/particle/spread-steer/*", "steer/mat/particle/spread-steer/*", "steer/mappo/particle/spread-steer/*"), func(r run.Runs) report.Report {
			return reference(ReferenceSpread(), r, report.MeanOf("256,000", "return").At(256_000), report.MeanOf("512,000", "return").At(512_000),
				report.MeanOf("1,024,000", "return")).Decimals(1)
		}},
		{"steer", "LQ team", reporttest.Summaries(t, "steer/*/lqteam/6/*"), func(r run.Runs) report.Report {
			return report.Results("returns of the LQ team", r, method, returns, report.MeanOf("optimum of the same episodes", "optimum"))
		}},
		{"steer", "highway", reporttest.Summaries(t, "steer/*/highway/*/*"), func(r run.Runs) report.Report {
			return report.Results("merging", r, nil, returns, report.MeanOf("crashed", "crashed"), report.MeanOf("speed, m/s", "speed"))
		}},
		{"mappo", "3m", reporttest.Summaries(t, "mappo/*/battle/3m/*"), func(r run.Runs) report.Report { return report.WinRates(r, nil) }},
	} {
		reporttest.Table(t, c.page, c.table, c.runs, c.make)
	}
}
