package report

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
	"github.com/muster-marl/muster/pkg/stats"
)

// final stores runs of a method with one final evaluation each, of two episodes that return v − 1 and v + 1.
func final(t testing.TB, method, world string, scores ...float64) {
	t.Helper()
	for seed, v := range scores {
		store(t, method, world, uint64(seed), nil, run.Evaluation{Steps: 500, Stream: "final", Episodes: 2, Returns: []float64{v - 1, v + 1}})
	}
}

// Scores of a: 1, 3 and 5, 7; of b: 2, 4 and 5, 9. Means 4 and 5; b wins 3/4 of the pairs on x, and (½ + 1 + ½·0 …) on y:
// 5 = 5 counts ½, 5 < 7, 9 > 5, 9 > 7: 2.5/4. So P(b > a) = (0.75 + 0.625)/2.
func TestBoard(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	final(t, "a", "toy/x", 1, 3)
	final(t, "a", "toy/y", 5, 7)
	final(t, "b", "toy/x", 2, 4)
	final(t, "b", "toy/y", 5, 9)
	b := Scores(run.All("*/toy/*/*"), "return")
	text := render(t, Aggregates(b), "csv")
	wants(t, text, "statistic,method,value,low,high\n", "Mean,a,4,3,5\n", "Mean,b,5,3.5,6.5\n", "Median,a,4,", "IQM,a,4,")
	if strings.Contains(text, "gap") {
		t.Error("an optimality gap of scores that are not normalised")
	}
	wants(t, render(t, Aggregates(b), "text"), "Mean of return:\n  a: 4 [3, 5]",
		"Final return on 2 worlds, 2 seeds per method and world, 2 episodes per seed, 500 joint steps trained.")
	wants(t, render(t, Improvements(b, "a"), "csv"), "method,over,probability,low,high\nb,a,0.6875,")
	wants(t, render(t, Improvements(b, ""), "text"), "P(b > a): 0.6875 [")
	wants(t, render(t, Bars(b), "csv"), "toy/x,a,2,1,3,2\n", "toy/y,b,7,5,9,2\n")
	wants(t, render(t, Boxes(b), "csv"), "toy/y,b,5,6,7,8,9,2\n")
	// 0 to 10 on x, 5 to 9 on y: a has 0.1, 0.3, 0, 0.5; b has 0.2, 0.4, 0, 1.
	scaled := b.Between(map[string][2]float64{"toy/x": {0, 10}, "toy/y": {5, 9}})
	wants(t, render(t, Aggregates(scaled), "csv"), "Mean,a,0.225,", "Mean,b,0.4,", "Optimality gap,b,0.6,")
	wants(t, render(t, Bars(scaled), "csv"), "toy/x,a,0.2,")
	wants(t, render(t, Profiles(b.MinMax()), "text"), "normalised return", "0 is the lowest of any run on a world, 1 the highest")
	wants(t, render(t, Bars(b.MinMax()), "csv"), "toy/y,b,0.5,0,1,2\n") // 5 to 9
	csv := render(t, Profiles(b), "csv")
	if n := strings.Count(csv, "\n"); n != 1+2*201 {
		t.Errorf("%d lines, want a header and 201 for each method", n)
	}
	wants(t, csv, "\na,0.84,1,1,1\n", "\nb,9.16,0,0,0\n") // the ends: all above, none
}

func TestAblation(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	final(t, "full", "toy/x", 10, 11, 12)
	final(t, "less", "toy/x", 1, 2, 3)
	final(t, "same", "toy/x", 9, 11, 13)
	text := render(t, Ablation(Scores(run.All("*/toy/x/*"), "return"), "full"), "csv")
	wants(t, text, "method,IQM,IQM low,IQM high,difference,difference low,difference high,P(better than full),",
		"full,11,10,12,,,,,,,3\n", "less,2,1,3,-9,", ",0,0,0,3\n", "same,11,9,13,0,")
	md := render(t, Ablation(Scores(run.All("*/toy/x/*"), "return"), "full"), "md")
	wants(t, md, "]† |", "†: the interval of the difference holds 0.")
	if strings.Contains(strings.Split(md, "| less")[1][:60], "†") {
		t.Errorf("a difference of 9 is marked as none:\n%s", md)
	}
}

// Of a single seed no interval is made up, neither in numbers nor in words.
func TestOneSeedHasNoInterval(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	final(t, "a", "toy/x", 1)
	final(t, "b", "toy/x", 2)
	b := Scores(run.All("*/toy/x/*"), "return")
	wants(t, render(t, Aggregates(b), "csv"), "IQM,a,1,,\n")
	wants(t, render(t, Aggregates(b), "json"), `["IQM","a",1,null,null]`)
	for _, r := range []Report{Aggregates(b), Profiles(b), Improvements(b, "a"), Bars(b), Boxes(b)} {
		wants(t, render(t, r, "text"), "One seed: no interval.")
		render(t, r, "png")
	}
	wants(t, render(t, Ablation(b, "a"), "csv"), "b,2,,,1,,,1,,,1\n")
	wants(t, render(t, Ablation(b, "a"), "text"), "One seed: no interval.")
}

func TestBoardRefuses(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	refuses(t, Profiles(Scores(run.All("none/*"), "return")), "png", "no runs match")
	refuses(t, Profiles(Scores(run.Of(), "return")), "png", "no runs to compare")
	final(t, "a", "toy/x", 1, 2)
	final(t, "b", "toy/x", 1, 2)
	all := func() Board { return Scores(run.All("*/toy/*/*"), "return") }
	refuses(t, Aggregates(Scores(run.All("*/toy/*/*"), "retrun")), "png", `no "retrun"; it has return`)
	refuses(t, Improvements(all(), "c"), "png", `improvements over "c"`, "there are a, b")
	refuses(t, Improvements(Scores(run.All("a/toy/*/*"), "return"), ""), "png", "of a single method, a")
	refuses(t, Ablation(all(), "c"), "md", `an ablation of "c"`, "a, b")
	refuses(t, Bars(all().Between(map[string][2]float64{"toy/y": {0, 1}})), "png", "no bounds for the scores on toy/x")
	refuses(t, Bars(all().Between(map[string][2]float64{"toy/x": {1, 1}})), "png", "toy/x goes from 1 to 1")
	refuses(t, Bars(all()).Width(0.5), "png", "0.5 inches")
	refuses(t, ScorePlot{}, "png", "an empty figure")
	refuses(t, ScoreTable{}, "md", "an empty table")
	refuses(t, Profiles(Board{}), "png", "report.Scores")
	final(t, "a", "toy/y", 1, 2)
	refuses(t, Profiles(all()), "png", "b has no run on toy/y", "the same worlds")
	final(t, "b", "toy/y", 1)
	refuses(t, Profiles(all()), "png", "b has 2 seeds on toy/x and 1 seed on toy/y, want as many")
	store(t, "c", "toy/x", 0, lines("loss", 1))
	refuses(t, Profiles(Scores(run.All("c/*/*/*"), "return")), "png", "has no final evaluation")
	mixed := Results("return", run.All("a/toy/*/*"), func(*run.Run) string { return "a" }, MeanOf("return", "return"))
	refuses(t, mixed, "md", `column "a" would mix a on toy/x and a on toy/y`)
}

// won is a final evaluation of 100 episodes.
func won(wins int) run.Evaluation {
	return run.Evaluation{Steps: 900, Stream: "final", Episodes: 100, Outcomes: map[string]int{"win": wins, "loss": 100 - wins}}
}

func TestWinRates(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	for seed := range uint64(3) {
		store(t, "good", "toy/x", seed, nil, won(90))
		store(t, "bad", "toy/x", seed, nil, won(20))
		store(t, "good", "toy/y", seed, nil, won(50))
		store(t, "bad", "toy/y", seed, nil, won(48+int(seed)))
	}
	store(t, "other", "toy/x", 0, nil, won(3))
	runs := run.All("*/toy/*/*")
	wilson := stats.Wilson(270, 300, 0.95)
	text := render(t, WinRates(runs, nil), "text")
	wants(t, text, "90.0 [86.1, 92.9] *", "50.0 [44.4, 55.6]†", "49.0 [43.4, 54.6]†", "20.0 [15.9, 24.9]", "1 to 3 seeds per method and world, 100 episodes per seed, 900 joint steps trained",
		"Bold (in text *): the best, where its interval overlaps with no other.", "†: the best of its column cannot be told from this one.")
	if strings.Count(text, "] *") != 1 || math.Abs(wilson.Low-0.861) > 5e-4 || math.Abs(wilson.High-0.929) > 5e-4 {
		t.Errorf("one bold cell, that of %v, in\n%s", wilson, text)
	}
	wants(t, render(t, WinRates(runs, nil), "tex"), `\textbf{90.0 [86.1, 92.9]}`, `50.0 [44.4, 55.6]$^\dagger$`)
	wants(t, render(t, WinRates(runs, nil), "html"), "<td><b>90.0\u00a0[86.1,\u00a092.9]</b></td>")
	wants(t, render(t, WinRates(runs, nil), "md"), "| **90.0 [86.1, 92.9]** |", "| – |")
	wants(t, render(t, WinRates(runs, nil), "csv"), "good,90,86.")
	caption, err := WinRates(run.All("other/toy/x/0"), nil).Caption()
	if err != nil || !strings.Contains(caption, "One seed: the interval says nothing about other seeds.") {
		t.Errorf("caption %q (%v)", caption, err)
	}
	final(t, "c", "toy/z", 1)
	refuses(t, WinRates(run.All("c/*/*/*"), nil), "md", `no "win_rate"; it has return`)
	store(t, "d", "toy/z", 0, nil, run.Evaluation{Stream: "final", Episodes: 2, Outcomes: map[string]int{"ended": 2}})
	refuses(t, WinRates(run.All("d/*/*/*"), nil), "md", "toy/z cannot be won: its episodes end in ended")
	store(t, "e", "toy/z", 0, nil, run.Evaluation{Stream: "final", Episodes: 2, Outcomes: map[string]int{"time_out": 2}}) // agents who flee
	wants(t, render(t, WinRates(run.All("e/*/*/*"), nil), "text"), "0.0 [0.0, 65.8]")
}

// Of three runs two reach 5, at 150 (halfway from 2 to 8) and at 300; the third had not by 200, so it may have been later.
func TestTimeTo(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "a", "toy/x", 0, lines("return", 2, 8))
	store(t, "a", "toy/x", 1, lines("return", 0, 1, 5))
	store(t, "a", "toy/x", 2, lines("return", 0, 1))
	store(t, "b", "toy/x", 0, lines("return", 0, 1))
	text := render(t, TimeTo(run.All("*/toy/x/*"), "return", 5), "csv")
	wants(t, text, "a,3,2,300,150,+Inf\n", "b,1,0,+Inf,,\n")
	wants(t, render(t, TimeTo(run.All("*/toy/x/*"), "return", 5), "text"), "300 [150, ∞]", "until return first attains 5", "trained for 200 to 300 joint steps")
	wants(t, render(t, TimeTo(run.All("*/toy/x/*"), "return", 5), "tex"), `300 [150, $\infty$]`)
	refuses(t, TimeTo(run.All("*/toy/x/*"), "loss", 5), "md", `no metric "loss"`, "return")
}

// A page of charts names each method once, and gives it one line in all panels.
func TestGrid(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "b", "toy/x", 0, lines("return", 1, 2))
	store(t, "a", "toy/y", 0, lines("return", 3, 4))
	store(t, "b", "toy/y", 0, lines("return", 5, 6))
	g := Grid(2, Curves(run.All("*/toy/x/*"), "return").Title("x"), Curves(run.All("*/toy/y/*"), "return").Title("y"))
	wants(t, render(t, g, "csv"), "panel,metric,group,steps,value,low,high,seeds\nx,return,b,100,1,,,1\n", "y,return,a,200,4,,,1\n")
	list, err := g.data()
	if err != nil || list[0].groups[0].style != 0 || list[1].groups[0].style != 1 || list[1].groups[1].style != 0 {
		t.Errorf("b has other lines in other panels (%v)", err)
	}
	if text, err := g.Caption(); err != nil || text != "One seed, no band. Trained for 200 joint steps." {
		t.Errorf("caption %q (%v)", text, err)
	}
	render(t, g, "png")
	refuses(t, Grid(0), "png", "0 charts in rows of 0")
	refuses(t, Grid(1, Curves(run.All("no/*"), "return")), "png", "no runs match")
}

// The made-up numbers of the gallery are the same each time.
func TestMadeRepeats(t *testing.T) {
	a := evaluation("eval", 1, 20, 0.5, rand.New(rand.NewPCG(1, 1)))
	b := evaluation("eval", 1, 20, 0.5, rand.New(rand.NewPCG(1, 1)))
	if a.Outcomes["win"] != b.Outcomes["win"] || a.Returns[7] != b.Returns[7] {
		t.Error("the gallery changes")
	}
}
