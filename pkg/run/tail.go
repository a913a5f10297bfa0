package run

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Followed are runs of other processes, made by Tail. It reads what they write and touches nothing.
type Followed struct {
	patterns []string
}

// Tail follows the runs that match patterns as those of All, or a single run by its directory: nb.Watch(run.Tail("…"))
// shows them as if they ran here, until none of them does.
func Tail(patterns ...string) *Followed { return &Followed{patterns: patterns} }

// Run returns when none of the runs is running any more, with the first failure; or when ctx ends, with nil.
func (f *Followed) Run(ctx context.Context) error {
	for {
		list, err := f.read()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(list, func(l Live) bool { return l.State == Running }) {
			for _, l := range list {
				if l.State == HasFailed || l.State == Lost {
					return fmt.Errorf("run: %s: %s", l.Dir, cmp.Or(l.Error, "its process has ended without a word; start the run again to go on"))
				}
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// Progress is that of the single run, or of all together.
func (f *Followed) Progress() Progress {
	list, err := f.read()
	if err != nil {
		return Progress{Note: err.Error()}
	}
	if len(list) == 1 {
		p := list[0].Progress
		p.Finished = list[0].State == Finished
		return p
	}
	return Together(fmt.Sprintf("%d runs", len(list)), list)
}

// Each says where every single run stands.
func (f *Followed) Each() []Live {
	list, _ := f.read()
	return list
}

// Outlives is true: the runs go on when nobody follows them.
func (*Followed) Outlives() bool { return true }

func (f *Followed) read() ([]Live, error) {
	var list []Live
	for _, p := range f.patterns {
		dirs := []string{p}
		if _, err := os.Stat(filepath.Join(p, "config.json")); err != nil {
			runs, err := All(p).List()
			if err != nil {
				return nil, err
			}
			dirs = nil
			for _, r := range runs {
				dirs = append(dirs, r.Dir)
			}
		}
		for _, d := range dirs {
			l, err := ReadLive(d)
			if err != nil {
				return nil, err
			}
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("run: no run to follow, want a pattern such as \"dqn/takeout/*/*\"")
	}
	return list, nil
}

// Together adds up what many runs say: steps and speed are sums, shares means over the time spent, and the note counts
// the states and ends with what the run that spoke last has noted.
func Together(title string, list []Live) Progress {
	all := Progress{Title: title, Shares: map[string]float64{}, Finished: len(list) > 0}
	counts, weight := map[State]int{}, 0.0
	var last Live
	for _, l := range list {
		all.Steps, all.Goal, all.Updates = all.Steps+min(l.Steps, max(l.Goal, l.Steps)), all.Goal+l.Goal, all.Updates+l.Updates
		all.Seconds += l.Seconds
		all.Backend = cmp.Or(all.Backend, l.Backend)
		for k, v := range l.Shares {
			all.Shares[k] += v * l.Seconds
		}
		if len(l.Shares) > 0 {
			weight += l.Seconds
		}
		if l.State == Running {
			all.StepsPerSecond += l.StepsPerSecond
			if l.Note != "" && l.At.After(last.At) {
				last = l
			}
		}
		all.Finished = all.Finished && (l.State == Finished || l.State == Hopeless)
		counts[l.State]++
	}
	for k := range all.Shares {
		all.Shares[k] /= max(weight, 1e-9)
	}
	if left := all.Goal - all.Steps; all.StepsPerSecond > 0 && left > 0 {
		all.Left = time.Duration(min(float64(left)/all.StepsPerSecond*1e9, 1<<62))
	}
	all.Note = Counts(counts)
	if last.Note != "" {
		all.Note += "; " + last.Title + ": " + last.Note
	}
	return all
}

// Counts says how many there are of each state: "3 finished, 2 running, 1 failed".
func Counts(counts map[State]int) string {
	var parts []string
	for _, s := range []State{Finished, Running, Waiting, Stopped, Hopeless, Lost, HasFailed} {
		if n := counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}
