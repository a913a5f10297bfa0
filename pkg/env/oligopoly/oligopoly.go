// Package oligopoly is a market with a closed-form solution: firms choose quantities of one good, the price falls with
// their sum, and each keeps what it sells. It is ours, made to test methods in which agents decide one after another,
// with any number of levels, private rewards and continuous actions. The model is H. von Stackelberg's ("Marktform und
// Gleichgewicht", 1934) and A. Cournot's where all decide at once.
package oligopoly

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/env"
)

// Market is a market of one play without costs: firm i chooses its quantity q_i = (a_i+1)/2 in [0, 1] by its continuous
// action a_i, the price is p = max(0, 1 − Σq), the firm's reward q_i·p. There is nothing to see: observations are the
// number 0, the state one 0 for each firm. Metrics: "quantity_1", …, and "price".
type Market struct {
	Firms int
}

// New returns the market, or an error if nobody or too many sell.
func (m Market) New() (env.Env, error) {
	if m.Firms < 1 || m.Firms > 64 {
		return nil, fmt.Errorf("oligopoly: Firms is %d, want 1 to 64", m.Firms)
	}
	return &market{spec: m.spec()}, nil
}

func (m Market) spec() env.Spec {
	s := env.Spec{Name: fmt.Sprintf("oligopoly/%d", m.Firms), Agents: m.Firms, ActDim: 1, ObsDim: 1, StateDim: m.Firms, MaxSteps: 1}
	for i := range m.Firms {
		s.Metrics = append(s.Metrics, fmt.Sprintf("quantity_%d", i+1))
	}
	s.Metrics = append(s.Metrics, "price")
	return s
}

// Reply is the best quantity of a firm where those before it have chosen led in all, whether or not others follow it
// and reply as well: half of what is left of the market. It maximises q·(1−led−q)/2ᵏ, k being the number of followers,
// each of whom halves what is left.
func Reply(led float64) float64 { return max(0, 1-led) / 2 }

// Stackelberg are the quantities of firms that decide one after another: 1/2, 1/4, 1/8, …
func (m Market) Stackelberg() []float64 {
	q, led := make([]float64, m.Firms), 0.0
	for i := range q {
		q[i] = Reply(led)
		led += q[i]
	}
	return q
}

// Nash are the quantities of firms that decide at once (Cournot): 1/(Firms+1) each.
func (m Market) Nash() []float64 {
	q := make([]float64, m.Firms)
	for i := range q {
		q[i] = 1 / float64(m.Firms+1)
	}
	return q
}

// Profits are the firms' rewards at quantities q.
func (m Market) Profits(q []float64) []float64 {
	price := 1.0
	for _, x := range q {
		price -= x
	}
	profits := make([]float64, len(q))
	for i, x := range q {
		profits[i] = x * max(0, price)
	}
	return profits
}

// market keeps nothing between plays.
type market struct{ spec env.Spec }

func (m *market) Spec() env.Spec { return m.spec }

func (m *market) Reset(_ env.Episode, out *env.Step) {
	clear(out.Obs)
	clear(out.State)
	clear(out.Metrics)
}

// Step sells.
func (m *market) Step(act env.Actions, out *env.Step) {
	clear(out.Obs)
	clear(out.State)
	price := float32(1)
	for i, a := range act.Continuous {
		out.Metrics[i] = (env.Clip(a) + 1) / 2
		price -= out.Metrics[i]
	}
	price = max(0, price)
	for i := range out.Reward {
		out.Reward[i] = out.Metrics[i] * price
	}
	out.Metrics[len(out.Reward)] = price
	out.Terminated, out.Outcome = true, env.Ended
}
