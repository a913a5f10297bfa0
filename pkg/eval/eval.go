// Package eval plays episodes with a fixed policy and counts what the world counts.
package eval

import (
	"context"
	"fmt"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/run"
)

// Plan says what is played.
type Plan struct {
	Stream   string // "eval", or "final" for tables: other episodes
	Cell     string // name in the result; "" is the world of training
	Number   int64  // of the cell; the world of training is 0
	Episodes int
	Envs     int // environments stepped together
	Workers  int // goroutines that step; results do not depend on it
	Record   int // episodes that Evaluation.Recorded keeps, from the first
	Mode     policy.Mode
}

// Run plays the plan's episodes of w: the same ones for every policy under one key. Every episode that
// begins is counted, however long it lasts.
func Run(ctx context.Context, w env.World, p policy.Policy, key rng.Key, plan Plan) (run.Evaluation, error) {
	result := run.Evaluation{
		Stream: plan.Stream, Cell: plan.Cell, Episodes: plan.Episodes,
		Outcomes: map[string]int{}, Metrics: map[string][]float64{},
	}
	if plan.Episodes < 1 {
		return result, fmt.Errorf("eval: %d episodes, want at least 1", plan.Episodes)
	}
	vec, err := env.NewVec(w, plan.Envs, func(e int64) rng.Key { return key.Split(plan.Stream, plan.Number, e) })
	if err != nil {
		return result, err
	}
	defer vec.Close()
	vec.Workers, vec.Limit = max(plan.Workers, 1), int64(plan.Episodes)
	spec := vec.Spec()
	result.World = spec.Name
	if plan.Record > 0 {
		result.Recorded = make([]run.Episode, min(plan.Record, plan.Episodes))
	}
	result.Returns, result.Lengths = make([]float64, plan.Episodes), make([]int, plan.Episodes)
	for _, name := range spec.Metrics {
		result.Metrics[name] = make([]float64, plan.Episodes)
	}
	memory, acts := p.Memory(plan.Envs), env.NewActions(spec, plan.Envs)
	insightful, _ := memory.(policy.Insightful)
	acting := key.Split(plan.Stream+" act", plan.Number)
	for t := int64(0); ; t++ {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		fresh := vec.Begun()
		before, err := vec.Before()
		if err != nil {
			return result, err
		}
		if vec.Active() == 0 {
			return result, nil
		}
		for i := range plan.Envs {
			if vec.Episode(i) >= fresh {
				memory.Begin(i)
			}
		}
		if err := p.Act(before, memory, plan.Mode, acting.Split("step", t), acts); err != nil {
			return result, err
		}
		for i := range plan.Envs {
			if e := vec.Episode(i); insightful != nil && e >= 0 && e < int64(len(result.Recorded)) {
				if err := note(&result.Recorded[e], spec, insightful.Insight(i)); err != nil {
					return result, err
				}
			}
		}
		after, err := vec.Step(acts)
		if err != nil {
			return result, err
		}
		for i := range plan.Envs {
			e, s := vec.Episode(i), after.At(i)
			if e < 0 {
				continue
			}
			count(&result, spec, int(e), s)
			if e < int64(len(result.Recorded)) && s.Over() {
				result.Recorded[e] = run.Episode{
					Stream: plan.Stream, Cell: plan.Cell, World: spec.Name, Number: int(e), Key: key.Split(plan.Stream, plan.Number, e),
					Actions:    steps(vec.Played(i), spec.Agents*len(spec.Actions)),
					Continuous: steps(vec.PlayedContinuous(i), spec.Agents*spec.ActDim),
					Return:     result.Returns[e], Outcome: s.Outcome.String(),
					Groups: result.Recorded[e].Groups, Scores: result.Recorded[e].Scores,
				}
			}
		}
	}
}

// note keeps what the policy thought at one step.
func note(r *run.Episode, spec env.Spec, in policy.Insight) error {
	n := spec.Agents
	if g, s := len(in.Groups), len(in.Scores); g != 0 && g != n || s != 0 && s != n*n {
		return fmt.Errorf("eval: the policy's insight on %s is %d groups and %d scores, want %d (or none) and %d (or none)", spec.Name, g, s, n, n*n)
	}
	if len(in.Groups) > 0 {
		r.Groups = append(r.Groups, slices.Clone(in.Groups))
	}
	if len(in.Scores) > 0 {
		r.Scores = append(r.Scores, slices.Clone(in.Scores))
	}
	return nil
}

// steps cuts a copy of the actions of an episode into steps of k each; nil if there are none.
func steps[T any](flat []T, k int) [][]T {
	if k == 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(slices.Clone(flat), k))
}

func count(r *run.Evaluation, spec env.Spec, e int, s *env.Step) {
	r.Lengths[e]++
	for _, x := range s.Reward {
		r.Returns[e] += float64(x) / float64(spec.Agents)
	}
	if !s.Over() {
		return
	}
	r.Outcomes[s.Outcome.String()]++
	for k, name := range spec.Metrics {
		r.Metrics[name][e] = float64(s.Metrics[k])
	}
}
