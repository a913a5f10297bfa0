package lqteam

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Solution is the best that a team can do without a clock, actions not clipped. With the state s = (x, v) the best
// actions are u = −Gain·s, and what is still to be paid is sᵀ·Cost·s.
type Solution struct {
	Cost *mat.Dense // P, 2·Carts × 2·Carts
	Gain *mat.Dense // K, Carts × 2·Carts
}

// dynamics are A and B of s ← A·s + B·u.
func (w Team) dynamics() (a, b *mat.Dense) {
	n := w.Carts
	a, b = mat.NewDense(2*n, 2*n, nil), mat.NewDense(2*n, n, nil)
	for i := range n {
		a.Set(i, i, 1)
		a.Set(i, n+i, w.Dt)
		a.Set(n+i, n+i, 1-w.Dt*w.Friction)
		for _, j := range []int{i - 1, i + 1} {
			if j >= 0 && j < n {
				a.Set(n+i, j, w.Dt*w.Spring)
				a.Set(n+i, i, a.At(n+i, i)-w.Dt*w.Spring)
			}
		}
		b.Set(n+i, i, w.Dt*w.Force)
	}
	return a, b
}

// weights are Q and R of the reward −(sᵀQs + uᵀRu).
func (w Team) weights() (q, r *mat.Dense) {
	n := w.Carts
	q, r = mat.NewDense(2*n, 2*n, nil), mat.NewDense(n, n, nil)
	for i := range n {
		q.Set(i, i, 1)
		q.Set(n+i, n+i, w.Speed)
		r.Set(i, i, w.Effort)
	}
	return q, r
}

// doublings are enough: each squares the closed loop, whose slowest part is below 1.
const doublings = 60

// Solve finds P = Q + Aᵀ·P·A − Aᵀ·P·B·K with K = (R + Bᵀ·P·B)⁻¹·Bᵀ·P·A by the structure-preserving doubling algorithm
// (E. Chu, H. Fan, W. Lin and C. Wang, International Journal of Control 77, 2004):
//
//	W = I + G·H,  A ← A·W⁻¹·A,  G ← G + A·W⁻¹·G·Aᵀ,  H ← H + Aᵀ·H·W⁻¹·A,  from G = B·R⁻¹·Bᵀ and H = Q;  H → P.
func (w Team) Solve() (Solution, error) {
	if err := w.validate(); err != nil {
		return Solution{}, err
	}
	a, b := w.dynamics()
	q, r := w.weights()
	_, m := b.Dims()
	var g, h, inner mat.Dense
	g.Mul(b, b.T())
	g.Scale(1/w.Effort, &g)
	h.CloneFrom(q)
	moving := mat.DenseCopyOf(a)
	for k := 0; ; k++ {
		var wide, left, ag, step, gain mat.Dense
		wide.Mul(&g, &h)
		for i := range 2 * m {
			wide.Set(i, i, wide.At(i, i)+1)
		}
		if err := left.Solve(&wide, moving); err != nil { // W⁻¹·A
			return Solution{}, fmt.Errorf("lqteam: the Riccati equation of %+v cannot be solved: %w", w, err)
		}
		if err := ag.Solve(&wide, &g); err != nil { // W⁻¹·G
			return Solution{}, fmt.Errorf("lqteam: the Riccati equation of %+v cannot be solved: %w", w, err)
		}
		step.Product(moving.T(), &h, &left)
		gain.Product(moving, &ag, moving.T())
		g.Add(&g, &gain)
		h.Add(&h, &step)
		moving.Mul(mat.DenseCopyOf(moving), &left)
		if change := mat.Max(&step) - mat.Min(&step); change <= 1e-14*mat.Max(&h) {
			break
		} else if k == doublings || math.IsNaN(change) {
			return Solution{}, fmt.Errorf("lqteam: the Riccati equation of %+v has no solution that can be found", w)
		}
	}
	var pa, pb, right mat.Dense
	pb.Mul(&h, b)
	pa.Mul(&h, a)
	inner.Mul(b.T(), &pb)
	inner.Add(&inner, r)
	right.Mul(b.T(), &pa)
	gain := new(mat.Dense)
	if err := gain.Solve(&inner, &right); err != nil {
		return Solution{}, fmt.Errorf("lqteam: the best rule of %+v cannot be found: %w", w, err)
	}
	return Solution{Cost: &h, Gain: gain}, nil
}

// Act writes the best actions in the state s to u; neither is checked.
func (s Solution) Act(state []float32, u []float32) {
	for i := range u {
		sum := 0.0
		for j, x := range s.Gain.RawRowView(i) {
			sum -= x * float64(state[j])
		}
		u[i] = float32(sum)
	}
}

// Mean is the expected best return over the starts of w.
func (s Solution) Mean(w Team) float64 {
	sum := 0.0
	for i := range w.Carts {
		sum -= s.Cost.At(i, i) * w.Start * w.Start / 3 // variance of a uniform start
	}
	return sum
}

// Largest bounds the best rule's actions over all starts and times: where it is at most 1, nothing is ever clipped.
// It is the largest sum over j of Start·|(Gain·Lᵗ)_ij|, L = A − B·Gain, j over positions.
func (s Solution) Largest(w Team) float64 {
	a, b := w.dynamics()
	var loop, now mat.Dense
	loop.Mul(b, s.Gain)
	loop.Sub(a, &loop)
	now.CloneFrom(s.Gain)
	largest := 0.0
	for range w.Steps {
		for i := range w.Carts {
			sum := 0.0
			for j := range w.Carts {
				sum += w.Start * math.Abs(now.At(i, j))
			}
			largest = max(largest, sum)
		}
		now.Mul(mat.DenseCopyOf(&now), &loop)
	}
	return largest
}
