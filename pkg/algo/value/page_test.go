package value

import (
	"testing"

	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/report/reporttest"
	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/team"
)

// TestPages: the tables of docs/systems are what reports make of docs/results; see reporttest.Table.
func TestPages(t *testing.T) {
	rates := func(r run.Runs) report.Report { return report.WinRates(r, nil) }
	maps := reporttest.Summaries(t, "qmix/qmix/battle/*/*", "qmix/qmix-half/battle/*/*", "qmix/vdn/battle/*/*", "qmix/iql/battle/*/*")
	reporttest.Table(t, "qmix", "maps", maps, rates)
	method := func(r *run.Run) string { return r.Method }
	met := reporttest.Summaries(t, "teamformation/*/matching/groups-4x6/*")
	reporttest.Table(t, "teamformation", "matching", met, func(r run.Runs) report.Report {
		return report.Results("the group-matching game", r, method, report.MeanOf("solved", "win_rate"), report.MeanOf("return", "return"))
	})
	teams := reporttest.Summaries(t, "teamformation/aqmix/battle/sz-3-5/*", "teamformation/refil/battle/sz-3-5/*", "teamformation/[os]om/battle/sz-3-5-l2/*")
	reporttest.Table(t, "teamformation", "returns", teams, func(r run.Runs) report.Report {
		return report.Results("judged on 3 to 5 allies", r, method, report.MeanOf("return", "return"))
	})
	reporttest.Table(t, "teamformation", "sizes", teams, func(r run.Runs) report.Report {
		return report.WinRates(r, nil).At(team.ByMethod).Against(report.Published(team.Table1("SZ")))
	})
	led := reporttest.Summaries(t, "teamformation/[os]om/battle/sz-3-5-l2/*")
	reporttest.Table(t, "teamformation", "leaders", led, func(r run.Runs) report.Report {
		return report.WinRates(r, nil).At(team.ByLeaders).Against(report.Published(team.Table2()))
	})
}
