package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
	"github.com/muster-marl/muster/pkg/team"
)

// battles are final evaluations of 1,000 episodes in cells: "" and others, with so many won; two in ten of the rest ran out of
// time, which is not won.
func battles(cells map[string]int) (list []run.Evaluation) {
	for _, cell := range []string{"", "6", "7", "8", "6-l2", "6-l3", "7-l2", "7-l3", "8-l2", "8-l3", "8-l4"} {
		won, ok := cells[cell]
		if !ok {
			continue
		}
		late := (1000 - won) / 5
		outcomes := map[string]int{"win": won, "loss": 1000 - won - late, "time_out": late}
		list = append(list, run.Evaluation{Steps: 200_000, Stream: "eval", Cell: cell, Episodes: 1, Outcomes: map[string]int{"win": 1}},
			run.Evaluation{Steps: 200_000, Stream: "final", Cell: cell, Episodes: 1000, Outcomes: outcomes})
	}
	return list
}

// storeTeams stores three seeds of OOM with all cells, two of REFIL without leaders, and one of an ablation.
func storeTeams(t *testing.T) {
	t.Helper()
	t.Setenv("MUSTER_RUNS", t.TempDir())
	for seed := range uint64(3) {
		k := 10 * int(seed)
		store(t, "oom", "battle/sz-3-5-l2", seed, nil, battles(map[string]int{
			"": 600 + k, "6-l2": 500 + k, "6-l3": 470 + k, "7-l2": 300 + k, "7-l3": 430 + k, "8-l2": 300, "8-l3": 310, "8-l4": 305})...)
	}
	store(t, "refil", "battle/sz-3-5", 0, nil, battles(map[string]int{"": 700, "6": 400, "7": 350, "8": 200})...)
	store(t, "refil", "battle/sz-3-5", 1, nil, battles(map[string]int{"": 640, "6": 440, "7": 350, "8": 240})...)
	store(t, "oom-random", "battle/sz-3-5-l2", 0, nil, battles(map[string]int{"": 500, "6-l2": 400})...)
}

// TestWinRatesByLeaders prints table 2. Of three seeds that win 500, 510 and 520 of 1,000 battles the rate is 0.510, 0.021 below
// the paper's 0.531, with a standard deviation of 0.010 between them and a binomial error of √(0.51·0.49/3000) = 0.00913.
func TestWinRatesByLeaders(t *testing.T) {
	storeTeams(t)
	table := WinRates(run.All("*/battle/sz-3-5*/*"), nil).At(team.ByLeaders).Against(Published(team.Table2())).Note("Networks of ours are tiny")
	csv := render(t, table, "csv")
	head, rest, _ := strings.Cut(csv, "\n")
	wants(t, head, "method,training 3–5: paper,training 3–5: paper deviation,training 3–5: ours [95 %],training 3–5: ours [95 %] low,training 3–5: ours [95 %] high,"+
		"training 3–5: ours [95 %] deviation,training 3–5: ours [95 %] binomial error,training 3–5: ours [95 %] cell,training 3–5: difference,6 agents: paper,")
	rows := map[string][]string{}
	var order []string
	for line := range strings.Lines(rest) {
		name, values := strings.TrimSuffix(line, "\n"), ""
		if strings.HasPrefix(name, `"`) {
			name, values, _ = strings.Cut(name[1:], `",`)
		} else {
			name, values, _ = strings.Cut(name, ",")
		}
		rows[name], order = strings.Split(values, ","), append(order, name)
	}
	want := append(append([]string{}, team.Table2().Rows...), "SZ: oom-random, 2 leaders", "SZ: REFIL")
	if strings.Join(order, "|") != strings.Join(want, "|") {
		t.Errorf("rows %v, want the paper's, then %v", order, want[6:])
	}
	wilson := stats.Wilson(1530, 3000, 0.95) // seeds differ less than by chance, so nothing is widened
	for _, c := range []struct {
		row   string
		first int // column of the paper's mean
		want  string
	}{
		{"SZ: OOM, 2 leaders", 9, fmt.Sprintf("0.531,0.037,0.51,%.5f,%.5f,0.01,0.00913,6-l2,-0.021", wilson.Low, wilson.High)},
		{"SZ: OOM, 3 leaders", 9, "0.478,0.037,0.48,"},
		{"SZ: OOM, 3 leaders", 0, ",,,,,,,,"},
		{"SZ: OOM, 4 leaders", 27, "0.364,0.019,0.305,"},
		{"SZ: SOM, 2 leaders", 9, "0.49,0.038,,,,,,,"},
		{"SZ: REFIL", 27, ",,0.22,"},
		{"SZ: oom-random, 2 leaders", 0, ",,0.5,"},
	} {
		cells := rows[c.row][c.first : c.first+9]
		for i, text := range cells {
			if v, err := strconv.ParseFloat(text, 64); err == nil {
				cells[i] = trimZeros(strconv.FormatFloat(v, 'f', 5, 64))
			}
		}
		if got := strings.Join(cells, ","); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s from column %d: %s, want %s", c.row, c.first, got, c.want)
		}
	}
	text := render(t, table, "text")
	wants(t, text, "Win rate. Paper: Moslemi & Lee, arXiv 2506.20039, table 2. The paper's are means", "Difference: ours less the paper's. Ours: 1 to 3 seeds per cell, 1,000 episodes per seed and cell, 200,000 joint steps trained;",
		"the binomial error of a cell's pooled episodes is 0.008 to 0.016.", "Networks of ours are tiny.",
		"0.531 ± 0.037", "0.510 [0.492, 0.528]‡", "-0.021", "0.480 [0.462, 0.498]†", "+0.002", "0.440 [0.422, 0.458] *", "0.310 [0.294, 0.327]‡", "0.305 [0.289, 0.322]†",
		"Bold (in text *): the best of its method's rows in the column", "‡: the best of its method's rows in the column; †:")
	if strings.Contains(text, "0.310 [0.292, 0.328]†") || strings.Count(text, "] *") != 1 || strings.Contains(text, "In brackets") {
		t.Errorf("marks in\n%s", text)
	}
	wants(t, render(t, table, "md"), "| SZ: OOM, 2 leaders | 0.624 ± 0.010 | 0.610 [0.592, 0.627] | -0.014 |", "| **0.440 [0.422, 0.458]** |")
	wants(t, render(t, table, "tex"), `0.531 $\pm$ 0.037 & 0.510 [0.492, 0.528]$^\ddagger$ & -0.021 &`, `\multicolumn{3}{c}{6 agents}`, `\textbf{0.440 [0.422, 0.458]}`)
	wants(t, render(t, table, "html"), "<td>0.531\u00a0±\u00a00.037</td><td>0.510\u00a0[0.492,\u00a00.528]‡</td><td>-0.021</td>", `<th colspan="3">8 agents</th>`)
	wants(t, render(t, table, "json"), `"6 agents: ours [95 %] cell"`)
}

// TestWinRatesByMethod prints table 1: of OOM's numbers of leaders the best counts, 2 with 6 agents and 3 with 7 and 8, and is named.
func TestWinRatesByMethod(t *testing.T) {
	storeTeams(t)
	table := WinRates(run.All("oom/battle/*/*", "refil/battle/*/*"), nil).At(team.ByMethod).Against(Published(team.Table1("SZ")))
	text := render(t, table, "text")
	wants(t, text, "0.510 [0.492, 0.528] (6-l2)", "0.440 [0.422, 0.458] (7-l3)", "0.310 [0.294, 0.327] (8-l3)", "0.364 ± 0.019", "-0.054",
		"0.674 ± 0.038", "In brackets: the cell that was best, where several fall on one place; chosen on the same episodes", "SZ: MIPI")
	if strings.Contains(text, "Bold") || strings.Contains(text, "‡") || strings.Contains(text, "CSZ") {
		t.Errorf("marks or other scenarios in\n%s", text)
	}
	// Two seeds of 700 and 640 differ more than by chance: D = 2·(30² + 30²)/(2000·0.67·0.33) = 8.14, and 2000/8.14 trials are worth 245.7.
	wide := stats.Wilson(6700, 10000, 0.95) // of 10,000 trials, to be much narrower
	_, in, err := stats.Clustered([]int{700, 640}, []int{1000, 1000}, 0.95)
	if err != nil || in.High-in.Low < 5*(wide.High-wide.Low) {
		t.Fatalf("interval %v, %v", in, err)
	}
	wants(t, text, fmt.Sprintf("0.670 [%.3f, %.3f]", in.Low, in.High), "-0.004")
	if text := render(t, WinRates(run.All("oom-random/battle/*/*"), nil).At(team.ByMethod), "text"); !strings.Contains(text, "One seed: the interval says nothing about other seeds.") || !strings.Contains(text, "40.0 [37.0, 43.1]") {
		t.Errorf("without a paper:\n%s", text)
	}
	named := WinRates(run.All("oom-random/battle/*/*"), func(*run.Run) string { return "som" }).At(team.ByMethod)
	wants(t, render(t, named, "csv"), "SZ: SOM*,50,", "method,training 3–5,training 3–5 low,")
}

func TestPlacedRefuses(t *testing.T) {
	storeTeams(t)
	paper := Published(team.Table2())
	rates := func(pattern ...string) RateTable { return WinRates(run.All(pattern...), nil) }
	refuses(t, rates("nobody/*").At(team.ByLeaders), "md", "no runs match")
	refuses(t, rates("*/battle/sz-3-5*/*").Against(paper), "md", "table 2 without a place")
	refuses(t, rates("*/battle/sz-3-5*/*").At(team.ByLeaders).Against(Published(team.Table1("XZ"))), "md", "table 1 (XZ) has no rows")
	refuses(t, rates("*/battle/sz-3-5*/*").At(func(string, string, string) (string, string) { return "a", "b" }).Against(paper), "md", `is placed under "b"`, "training 3–5, 6 agents")
	refuses(t, rates("*/battle/sz-3-5*/*").At(func(_, _, c string) (string, string) { return "a", c + "b" }), "md", `row "a" would mix oom-random on battle/sz-3-5-l2 and oom on battle/sz-3-5-l2`)
	torn := paper
	torn.Spread = torn.Spread[:5]
	refuses(t, rates("*/battle/sz-3-5*/*").At(team.ByLeaders).Against(torn), "md", "5 rows of values and 6 names")
	store(t, "oom", "battle/sz-4-l2", 0, nil, battles(map[string]int{"": 600})...)
	refuses(t, rates("oom/battle/sz-4-l2/*").At(team.ByLeaders).Against(paper), "md", `cell "" of`, `is placed under "training 4"`)
	store(t, "qmix", "battle/2s3z", 0, nil, battles(map[string]int{"": 600})...)
	refuses(t, rates("qmix/battle/2s3z/*").At(team.ByLeaders), "md", "qmix on battle/2s3z) stands nowhere in the table")
	store(t, "som", "battle/sz-3-5-l2", 0, nil, battles(nil)...)
	refuses(t, rates("som/battle/*/*").At(team.ByLeaders), "md", "no final evaluation")
	final(t, "som", "battle/sz-3-5-l2", 1)
	refuses(t, rates("som/battle/*/*").At(team.ByLeaders), "md", `no "win_rate"`)
}

// A paper's spread stands beside its means in tables of quantities, too.
func TestAgainstSpread(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "vdn", "toy/v6", 0, nil, orders(5000, []float64{1}, []float64{2}, []float64{4}, []float64{4}))
	with := paper
	with.Spread = [][]float64{{1.5, 2}, {0.5, math.NaN()}, {3, 4}}
	c := Against(with, run.All("vdn/toy/*/*"), func(*run.Run) string { return "V = 6" }, quantities...)
	wants(t, render(t, c, "text"), "48.00 ± 1.50", "50.00 [50.00, 50.00]", "+2.00", "  99.00  ")
	wants(t, render(t, c, "csv"), "restaurant,V = 6: paper,V = 6: paper deviation,V = 6: ours [95 %],", "\n1,48,1.5,50,50,50,2,86,2,")
}
