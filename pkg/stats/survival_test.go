package stats

import (
	"math"
	"strings"
	"testing"
)

// Weeks of remission of the 21 patients with 6-MP of Freireich et al. (Blood 21, 1963), the textbooks' example of censored
// times: S(6) = 0.857, S(7) = 0.807, S(10) = 0.753, S(13) = 0.690, S(16) = 0.627, S(22) = 0.538, S(23) = 0.448, median 23
// with an interval from 13 (log-log) to beyond the last patient.
func TestKaplanMeier(t *testing.T) {
	var times []Time
	for _, w := range []float64{6, 6, 6, 7, 10, 13, 16, 22, 23} {
		times = append(times, Time{At: w})
	}
	for _, w := range []float64{6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35} {
		times = append(times, Time{w, true})
	}
	s, err := KaplanMeier(times)
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448}
	if len(s.Share) != len(want) {
		t.Fatalf("%d steps, want %d", len(s.Share), len(want))
	}
	for i, v := range want {
		if !near(s.Share[i], v, 5e-4) {
			t.Errorf("S(%v) = %v, want %v", s.Times[i], s.Share[i], v)
		}
	}
	if s.Median() != 23 {
		t.Errorf("median %v, want 23", s.Median())
	}
	if got := s.MedianInterval(0.95); got.Low != 13 || !math.IsInf(got.High, 1) {
		t.Errorf("interval of the median %v, want [13, +Inf]", got)
	}
}

// Without censoring S falls by 1/n at each time, and the median is the first time by which half have arrived.
func TestKaplanMeierUncensored(t *testing.T) {
	s, err := KaplanMeier([]Time{{At: 4}, {At: 1}, {At: 3}, {At: 2}})
	if err != nil || s.Median() != 2 || s.Share[3] != 0 || !near(s.Share[0], 0.75, 1e-15) {
		t.Errorf("%v (%v), median %v; want 0.75, 0.5, 0.25, 0 and 2", s.Share, err, s.Median())
	}
	s, err = KaplanMeier([]Time{{At: 4, Censored: true}, {At: 1}, {At: 3, Censored: true}})
	if err != nil || !math.IsInf(s.Median(), 1) {
		t.Errorf("the median of one arrival of three is %v (%v), want +Inf", s.Median(), err)
	}
	if _, err := KaplanMeier(nil); err == nil || !strings.Contains(err.Error(), "no times") {
		t.Errorf("error %v, want one about no times", err)
	}
}

func TestReached(t *testing.T) {
	s := Series{[]float64{0, 10, 20, 30}, []float64{0, 1, 0.5, 2}}
	for threshold, want := range map[float64]Time{-1: {At: 0}, 0.5: {At: 5}, 1: {At: 10}, 1.25: {At: 25}, 3: {30, true}} {
		if got, err := s.Reached(threshold); err != nil || got != want {
			t.Errorf("%v is reached at %v (%v), want %v", threshold, got, err, want)
		}
	}
	if _, err := (Series{}).Reached(1); err == nil {
		t.Error("no points reach something")
	}
}
