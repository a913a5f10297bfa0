package sweep

import (
	"testing"

	"github.com/muster-marl/muster/pkg/run"
)

func curve(values ...float64) (list []run.Point) {
	for i, v := range values {
		list = append(list, run.Point{Steps: int64(i+1) * 10, Value: v})
	}
	return list
}

func TestJudge(t *testing.T) {
	others := [][]run.Point{curve(1, 3, 100), curve(2, 4), curve(5, 9), curve(90)} // means up to step 20: 2, 3, 7; the last is not as far
	for _, c := range []struct {
		name string
		m    Median
		mine []run.Point
		want string
	}{
		{"best below the median", Median{Metric: "win_rate"}, curve(2.5, 1), "median rule: its best win rate so far is 2.5, the median of the means of 3 other runs up to step 20 is 3"},
		{"as good", Median{Metric: "r"}, curve(3, 1), ""},
		{"once better", Median{Metric: "r"}, curve(4, 0), ""},
		{"too early", Median{Metric: "r", After: 21}, curve(0, 0), ""},
		{"too few others", Median{Metric: "r", Runs: 5}, curve(0, 0), ""},
		{"only its first point", Median{Metric: "r", Runs: 4}, curve(0, 0), "median rule: its best r so far is 0, the median of the means of 4 other runs up to step 10 is 3.5"},
		{"further than all", Median{Metric: "r", Runs: 2}, curve(0, 0, 0, 0), "median rule: its best r so far is 0, the median of the means of 3 other runs up to step 20 is 3"},
		{"nothing yet", Median{Metric: "r"}, nil, ""},
		{"lower is better", Median{Metric: "loss", Lower: true}, curve(3.5, 4), "median rule: its best loss so far is 3.5, the median of the means of 3 other runs up to step 20 is 3"},
		{"lower, as good", Median{Metric: "loss", Lower: true}, curve(9, 3), ""},
		{"even number", Median{Metric: "r"}, curve(2.9), "median rule: its best r so far is 2.9, the median of the means of 4 other runs up to step 10 is 3.5"}, // of 1, 2, 5, 90
	} {
		if got := c.m.judge(c.mine, others); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
