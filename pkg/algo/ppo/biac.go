package ppo

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/policy"
	"github.com/muster-marl/muster/pkg/replay"
	"github.com/muster-marl/muster/pkg/rng"
	"github.com/muster-marl/muster/pkg/train"
)

// BiAC is bi-level learning with tables (Zhang et al., AAAI 2020, the tabular case of Bi-AC): two agents who see
// the same, of whom agent 0 leads. Each learns the value of joint actions by the pair that both levels would choose:
//
//	a₂*(s, a₁) = argmax Q₂(s, a₁, ·),  a₁*(s) = argmax Q₁(s, a₁, a₂*(s, a₁))
//	Qᵢ(s, a₁, a₂) ← Qᵢ + LR·(rᵢ + γ·Qᵢ(s', a₁*, a₂*) − Qᵢ)
//
// It is a cheap oracle for small games beside the learners with networks. A state is what agent 0 observes, bit by bit.
// Ties go to the lowest action. DeepBiAC has networks.
type BiAC struct {
	LR, Gamma float64
	Envs      int    // environments stepped together
	Epsilon   Linear // chance of a random action of each agent while exploring
}

// String returns "biac".
func (b BiAC) String() string { return "biac" }

// Pace makes an update after every step.
func (b BiAC) Pace() train.Pace { return train.Pace{Envs: b.Envs, UpdateEvery: b.Envs} }

// Build makes the tables, empty at first: what was never tried is worth 0.
func (b BiAC) Build(s train.Setup) (train.Learner, replay.Replay, error) {
	spec := s.Env.Spec()
	switch {
	case spec.Agents != 2 || len(spec.Actions) != 1 || spec.ActDim > 0:
		return nil, nil, fmt.Errorf("ppo: %s has %d agents, %d action heads and continuous actions of size %d, want 2, 1 and 0 for biac",
			spec.Name, spec.Agents, len(spec.Actions), spec.ActDim)
	case !(b.LR > 0 && b.LR <= 1) || !(b.Gamma >= 0 && b.Gamma <= 1):
		return nil, nil, fmt.Errorf("ppo: biac has a learning rate of %v and γ = %v, want more than 0 up to 1, and 0 to 1", b.LR, b.Gamma)
	case b.Envs < 1:
		return nil, nil, fmt.Errorf("ppo: biac has %d environments, want at least 1", b.Envs)
	}
	memory, err := replay.NewRollout(spec, 1, b.Envs)
	if err != nil {
		return nil, nil, err
	}
	return &tables{method: b, spec: spec, Q: map[string][2][]float64{}}, memory, nil
}

// tables is the learner and the policy of BiAC.
type tables struct {
	method BiAC
	spec   env.Spec
	Q      map[string][2][]float64 // by state: values of each agent, [choice of agent 0][choice of agent 1]
}

func state(obs []float32) string {
	b := make([]byte, 0, 4*len(obs))
	for _, x := range obs {
		u := math.Float32bits(x)
		b = append(b, byte(u>>24), byte(u>>16), byte(u>>8), byte(u))
	}
	return hex.EncodeToString(b)
}

// at returns the tables of a state.
func (q *tables) at(s string) [2][]float64 {
	t, ok := q.Q[s]
	if !ok {
		n := q.spec.Choices() * q.spec.Choices()
		t = [2][]float64{make([]float64, n), make([]float64, n)}
		q.Q[s] = t
	}
	return t
}

// reply is the follower's best available answer to a.
func (q *tables) reply(t [2][]float64, a int, avail []bool) int {
	best, n := -1, q.spec.Choices()
	for b := range n {
		if avail[n+b] && (best < 0 || t[1][a*n+b] > t[1][a*n+best]) {
			best = b
		}
	}
	return best
}

// pair is what both levels choose together; avail is of both agents.
func (q *tables) pair(t [2][]float64, avail []bool) (int, int) {
	best, answer, n := -1, -1, q.spec.Choices()
	for a := range n {
		if !avail[a] {
			continue
		}
		if b := q.reply(t, a, avail); best < 0 || t[0][a*n+b] > t[0][best*n+answer] {
			best, answer = a, b
		}
	}
	return best, answer
}

// Policy chooses by the tables.
func (q *tables) Policy() policy.Policy { return q }

// Memory is empty.
func (q *tables) Memory(int) policy.Memory { return policy.None{} }

// Act chooses the pair, but for random actions; the follower answers what the leader really does.
func (q *tables) Act(b *env.Batch, _ policy.Memory, mode policy.Mode, key rng.Key, out env.Actions) error {
	epsilon, r, n := mode.Epsilon, key.Rand(), q.spec.Choices()
	if mode.Explore {
		epsilon = q.method.Epsilon.At(mode.Steps)
	}
	b.Observe()
	for i := range b.N {
		step := b.At(i)
		t, avail := q.at(state(step.Obs[:q.spec.ObsDim])), step.Avail
		a, _ := q.pair(t, avail)
		if r.Float64() < epsilon {
			a = env.RandomAction(avail[:n], r)
		}
		answer := q.reply(t, a, avail)
		if r.Float64() < epsilon {
			answer = env.RandomAction(avail[n:], r)
		}
		out.Discrete[2*i], out.Discrete[2*i+1] = int32(a), int32(answer)
	}
	return nil
}

// Update learns from one step of every environment.
func (q *tables) Update(s *replay.Sample) (train.Metrics, error) {
	if s.Time != 1 || s.Batch != q.method.Envs {
		return nil, fmt.Errorf("ppo: biac takes rollouts of 1 step × %d, got %d × %d", q.method.Envs, s.Time, s.Batch)
	}
	next, n, o := make([]int, s.Batch), q.spec.Choices(), q.spec.ObsDim
	for k, step := range s.Tail.Steps {
		next[step] = k + 1
	}
	size := 0.0
	for i := range s.Batch {
		var later [2]float64
		if k := next[i] - 1; k >= 0 {
			t, avail := q.at(state(s.Tail.Obs[2*k*o:(2*k+1)*o])), s.Tail.Avail[2*k*n:2*(k+1)*n]
			a, b := q.pair(t, avail)
			later = [2]float64{t[0][a*n+b], t[1][a*n+b]}
		}
		t := q.at(state(s.Obs[2*i*o : (2*i+1)*o]))
		at := int(s.Actions[2*i])*n + int(s.Actions[2*i+1])
		for agent := range 2 {
			delta := float64(s.Reward[2*i+agent]) + q.method.Gamma*later[agent] - t[agent][at]
			t[agent][at] += q.method.LR * delta
			size += math.Abs(delta) / float64(2*s.Batch)
		}
	}
	return train.Metrics{"td_error": size, "states": float64(len(q.Q))}, nil
}

// Programs is empty: nothing is compiled.
func (q *tables) Programs() (string, map[string]string) { return "", map[string]string{} }

// Provenance is empty, too.
func (q *tables) Provenance() map[string]string { return map[string]string{} }

// Save writes the tables.
func (q *tables) Save(w io.Writer) error { return json.NewEncoder(w).Encode(q.Q) }

// Load reads what Save wrote.
func (q *tables) Load(r io.Reader) error {
	saved := map[string][2][]float64{}
	if err := json.NewDecoder(r).Decode(&saved); err != nil {
		return fmt.Errorf("ppo: saved tables: %w", err)
	}
	want := q.spec.Choices() * q.spec.Choices()
	for s, t := range saved {
		if len(t[0]) != want || len(t[1]) != want {
			return fmt.Errorf("ppo: saved tables of state %s have %d and %d values, want %d", s, len(t[0]), len(t[1]), want)
		}
	}
	q.Q = saved
	return nil
}
