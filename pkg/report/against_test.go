package report

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

// orders is a final evaluation of two restaurants: what was generated and delivered in each episode.
func orders(steps int64, delivered1, generated1, delivered2, generated2 []float64) run.Evaluation {
	n := len(delivered1)
	return run.Evaluation{
		Steps: steps, Stream: "final", Episodes: n, Returns: delivered1, Lengths: make([]int, n), Outcomes: map[string]int{"ended": n},
		Metrics: map[string][]float64{"delivered_1": delivered1, "generated_1": generated1, "delivered_2": delivered2, "generated_2": generated2},
	}
}

var (
	first      = Percent("1", "delivered_1", "generated_1")
	second     = Percent("2", "delivered_2", "generated_2")
	quantities = []Quantity{first, second, Average("average", first, second)}
	paper      = Published{
		Source: "a paper, Table 2", What: "completion rate, %", Over: "restaurant", Note: "Its average is over restaurants",
		Rows: []string{"1", "2", "average"}, Columns: []string{"V = 6", "V = 9"},
		Values: [][]float64{{48, 86}, {98, 99}, {73, math.NaN()}},
	}
)

// Two seeds deliver 3 of 10 and 5 of 10 orders of restaurant 1 (over two episodes), and 8 and 6 of 8 of the other.
// Means over seeds: 40 and 87.5; of two seeds the interval is the range.
func TestAgainstPaper(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "vdn", "toy/v6", 0, nil, orders(5000, []float64{1, 2}, []float64{4, 6}, []float64{4, 4}, []float64{4, 4}))
	store(t, "vdn", "toy/v6", 1, nil, orders(5000, []float64{5, 0}, []float64{5, 5}, []float64{6, 0}, []float64{6, 2}))
	place := func(r *run.Run) string { return "V = 6" }
	c := Against(paper, run.All("vdn/toy/*/*"), place, quantities...)
	wants(t, render(t, c, "csv"),
		"restaurant,V = 6: paper,V = 6: ours [95 %],V = 6: ours [95 %] low,V = 6: ours [95 %] high,V = 6: difference,V = 9: paper",
		"1,48,40,30,50,-8,86,,,,\n", "2,98,87.5,75,100,-10.5,99,,,,\n", "average,73,63.75,62.5,65,-9.25,,,,,\n")
	text := render(t, c, "text")
	wants(t, text, "Completion rate, %. Paper: a paper, Table 2. Ours: 2 seeds per setting, 2 episodes per seed and cell, 5,000 joint steps trained; ",
		"95 % bootstrap interval of the mean over seeds (of so few it spans their range).",
		"Difference: ours less the paper's. Its average is over restaurants.", "48.00   40.00 [30.00, 50.00]       -8.00")
	wants(t, render(t, c, "html"), `<th colspan="3">V = 6</th>`, "<td>40.00\u00a0[30.00,\u00a050.00]</td>")
	wants(t, render(t, c, "tex"), `\cmidrule(lr){2-4}\cmidrule(lr){5-7}`)
	wants(t, render(t, c, "md"), "| V = 6: paper |")
	wants(t, render(t, c.Called("reference"), "md"), "| V = 6: reference |", "Reference: a paper, Table 2.", "ours less the reference's")
}

// With one seed the interval is over episodes, drawn whole: 2 of 4 and 8 of 16 are both a half, so every
// resample gives exactly 50 %, which separate draws of numerators and denominators would not.
func TestIntervalOverEpisodes(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	store(t, "vdn", "toy/v6", 3, nil, orders(700, []float64{2, 8}, []float64{4, 16}, []float64{0, 10}, []float64{10, 10}))
	c := Results("completion rate, %", run.All("vdn/toy/v6/*"), nil, first, second)
	wants(t, render(t, c, "csv"), "quantity,vdn,vdn low,vdn high\n1,50,50,50\n2,50,0,100\n")
	wants(t, render(t, c, "text"), "1 seed per setting, 2 episodes per seed and cell, 700 joint steps",
		"over the episodes of the only seed, which says nothing about other seeds")
}

// Rows of earlier steps are read from evaluations during training, of one seed over episodes and of two over seeds.
func TestAgainstEarlier(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	during := func(e run.Evaluation) run.Evaluation { e.Stream = "eval"; return e }
	quarter, half := orders(100, []float64{1}, []float64{4}, []float64{0}, []float64{4}), orders(200, []float64{2}, []float64{4}, []float64{1}, []float64{4})
	end := orders(200, []float64{3, 3}, []float64{4, 4}, []float64{3, 3}, []float64{4, 4})
	store(t, "vdn", "toy/v6", 0, nil, during(quarter), during(half), end)
	rows := []Quantity{Percent("100", "delivered_1", "generated_1").At(100), Percent("200", "delivered_1", "generated_1").At(200), Percent("end", "delivered_1", "generated_1")}
	table := func(rows ...Quantity) Comparison { return Results("x", run.All("vdn/toy/v6/*"), nil, rows...) }
	wants(t, render(t, table(rows...), "csv"), "100,25,25,25\n200,50,50,50\nend,75,75,75\n")
	store(t, "vdn", "toy/v6", 1, nil, during(half), end)
	refuses(t, table(rows...), "csv", "no evaluation after 100 steps; the nearest: 200")
	store(t, "vdn", "toy/v6", 2, nil, during(quarter), during(half), end)
	refuses(t, table(Average("both", first, second.At(200))), "csv", `"both" averages quantities of different evaluations`)
	wants(t, render(t, table(Average("both", first.At(200), second.At(200))), "csv"), "both,37.5,37.5,37.5")
	refuses(t, table(first.At(150)), "csv", "no evaluation after 150 steps; the nearest: ")
	refuses(t, Results("x", run.All("vdn/toy/v6/2"), nil, first.At(0)), "csv", "no evaluation after 0 steps; the nearest: 100")
	refuses(t, Results("x", run.All("vdn/toy/v6/2"), nil, first.At(150)), "csv", "the nearest: 100 and 200")
	c := table(rows[1:]...)
	wants(t, render(t, c, "csv"), "200,50,50,50\nend,75,75,75\n")
	wants(t, render(t, c, "text"), "3 seeds per setting, 2 episodes per seed and cell, before the end 1 episode, 200 joint steps trained")
}

func TestAgainstAnotherTask(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	for seed := range uint64(4) {
		store(t, "vdn", "toy/v2", seed, nil, orders(100*int64(seed+1), []float64{1}, []float64{2}, []float64{1}, []float64{4}))
	}
	c := Against(paper, run.All("vdn/toy/*/*"), func(*run.Run) string { return "V = 2" }, first).Apart("a 10 × 10 city").Decimals(1)
	wants(t, render(t, c, "text"), "Left: a paper, Table 2. Right: ours, where the task differs: a 10 × 10 city; so there are no differences.",
		"4 seeds per setting, 1 episode per seed and cell, 100 to 400 joint steps trained", "of the mean over seeds. Its average")
	wants(t, render(t, c, "csv"), "paper: restaurant,paper: V = 6,paper: V = 9,ours: mean [95 % interval]: restaurant,ours: mean [95 % interval]: V = 2,",
		"1,48,86,1,50,50,50\n", "average,73,,,,,\n")
}

func TestMeanOf(t *testing.T) {
	e := run.Evaluation{Episodes: 4, Outcomes: map[string]int{"win": 1, "loss": 3}, Returns: []float64{1, 2, 3, 6}}
	if v := MeanOf("r", "return").Value(&e); v != 3 {
		t.Errorf("mean return %v, want 3", v)
	}
	if v := MeanOf("w", "win_rate").Value(&e); v != 0.25 {
		t.Errorf("win rate %v, want 0.25", v)
	}
	again := resampled(&e, rand.New(rand.NewPCG(1, 1)))
	if n := again.Outcomes["win"] + again.Outcomes["loss"]; n != 4 || len(again.Returns) != 4 || e.Outcomes["win"] != 1 {
		t.Errorf("a resample has %d outcomes and %d returns, want 4; the original has %v", n, len(again.Returns), e.Outcomes)
	}
}

func TestAgainstRefuses(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	place := func(r *run.Run) string { return "V = 6" }
	refuses(t, Against(paper, run.All("vdn/toy/*/*"), place, first), "html", "no runs match")
	store(t, "vdn", "toy/v6", 0, nil, orders(1, []float64{1}, []float64{1}, []float64{1}, []float64{1}))
	runs := run.All("vdn/toy/*/*")
	refuses(t, Against(paper, runs, nil, first), "html", `placed under "vdn"`, "V = 6, V = 9")
	refuses(t, Against(paper, runs, place, Percent("3", "delivered_1", "generated_1")), "html", `"3" is no row of a paper, Table 2`)
	refuses(t, Against(paper, runs, place, Percent("1", "delivered_9", "generated_9")), "html", `no "delivered_9"`, "delivered_1")
	refuses(t, Against(paper, runs, place, first).Cell("far"), "html", `no final evaluation of cell "far"`)
	refuses(t, Against(paper, runs, place), "html", "without quantities")
	refuses(t, Against(paper, runs, place, first), "png", `unknown format "png"`)
	torn := paper
	torn.Values = torn.Values[:2]
	refuses(t, Against(torn, runs, place, first), "html", "2 rows of values and 3 names")
}
