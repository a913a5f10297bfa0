package ppo

import "math"

// rollout holds the numbers of an iteration on the host: steps × environments × agents, time-major.
type rollout struct {
	time, envs, agents int
	reward             []float32 // [time, env, agent]
	value              []float64 // [time, env, agent], in units of the reward
	over               []bool    // [time, env]: the next moment belongs to another episode, or is not in the rollout
	next               []float64 // [time, env, agent], where over: the value of the moment after the step, 0 where the task ended
	advantage, target  []float64 // [time, env, agent], what estimate writes
}

func newRollout(time, envs, agents int) *rollout {
	n := time * envs
	return &rollout{
		time: time, envs: envs, agents: agents,
		value: make([]float64, n*agents), over: make([]bool, n), next: make([]float64, n*agents),
		advantage: make([]float64, n*agents), target: make([]float64, n*agents),
	}
}

// estimate computes generalised advantages (Schulman et al., ICLR 2016) and value targets of each agent, back from
// the last step of every episode:
//
//	δₜ = rₜ + γ·V(sₜ₊₁) − V(sₜ),  Aₜ = δₜ + γ·λₜ₊₁·Aₜ₊₁,  Rₜ = Aₜ + V(sₜ)
//
// trace is λ of each step [time, env], or nil for lambda throughout.
func (r *rollout) estimate(gamma, lambda float64, trace []float64) {
	width := r.envs * r.agents
	for t := r.time - 1; t >= 0; t-- {
		for i := range r.envs {
			for a := range r.agents {
				k := t*width + i*r.agents + a
				next, later := r.next[k], 0.0
				if !r.over[t*r.envs+i] {
					l := lambda
					if trace != nil {
						l = trace[(t+1)*r.envs+i]
					}
					next, later = r.value[k+width], l*r.advantage[k+width]
				}
				r.advantage[k] = float64(r.reward[k]) + gamma*(next+later) - r.value[k]
				r.target[k] = r.advantage[k] + r.value[k]
			}
		}
	}
}

// normalise brings advantages [row, agent] to mean 0 and deviation 1 over those alive. For all agents together the
// divisor is std + 1e-5, as in the authors' code; for each apart it is max(std, floor of that agent), so that an
// agent whose return hardly varies any more does not learn from noise.
func normalise(advantage []float64, alive []float32, agents int, global bool, floor []float64, out []float32) {
	groups := agents
	if global {
		groups = 1
	}
	for g := range groups {
		each := func(f func(k int)) {
			for k := range advantage {
				if alive[k] == 1 && (global || k%agents == g) {
					f(k)
				}
			}
		}
		var n, sum, square float64
		each(func(k int) { n, sum = n+1, sum+advantage[k] })
		mean := sum / max(n, 1)
		each(func(k int) { square += (advantage[k] - mean) * (advantage[k] - mean) })
		divisor := math.Sqrt(square / max(n, 1))
		if global {
			divisor += 1e-5
		} else {
			divisor = max(divisor, floor[g], 1e-8)
		}
		each(func(k int) { out[k] = float32((advantage[k] - mean) / divisor) })
	}
}

// valueNorm keeps running means and variances of value targets, one of all agents or one of each (PopArt's
// statistics without its correction of weights; Yu et al., NeurIPS 2022, and the code of STEER).
type valueNorm struct {
	agents int
	plain  bool      // true = mean 0 and deviation 1 throughout
	weight float64   // Σ of the weights of all batches so far, towards 1
	mean   []float64 // [agent], not divided by weight yet, like square
	square []float64
}

const (
	valueDecay = 0.99999
	valueLeast = 0.01 // variance
)

func newValueNorm(agents int, plain bool) *valueNorm {
	return &valueNorm{agents: agents, plain: plain, mean: make([]float64, agents), square: make([]float64, agents)}
}

// add counts targets [row, agent] of rows; apart says whether each agent has statistics of its own.
func (v *valueNorm) add(target []float64, rows []int32, apart bool) {
	v.weight = valueDecay*v.weight + 1 - valueDecay
	sums, squares := make([]float64, v.agents), make([]float64, v.agents)
	for _, row := range rows {
		for a := range v.agents {
			x := target[int(row)*v.agents+a]
			sums[a], squares[a] = sums[a]+x, squares[a]+x*x
		}
	}
	if !apart {
		sum, square := 0.0, 0.0
		for a := range v.agents {
			sum, square = sum+sums[a]/float64(v.agents), square+squares[a]/float64(v.agents)
		}
		for a := range v.agents {
			sums[a], squares[a] = sum, square
		}
	}
	for a := range v.agents {
		v.mean[a] = valueDecay*v.mean[a] + (1-valueDecay)*sums[a]/float64(len(rows))
		v.square[a] = valueDecay*v.square[a] + (1-valueDecay)*squares[a]/float64(len(rows))
	}
}

// of returns mean and deviation of an agent's values.
func (v *valueNorm) of(agent int) (mean, deviation float64) {
	if v.plain {
		return 0, 1
	}
	w := max(v.weight, 1e-5)
	mean = v.mean[agent] / w
	return mean, math.Sqrt(max(v.square[agent]/w-mean*mean, valueLeast))
}
