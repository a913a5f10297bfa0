package takeout

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
)

// episode plays one episode of random couriers and calls see after every step.
func episode(t *testing.T, w World, number int64, see func(p *platform, out *env.Step)) {
	t.Helper()
	p := mustNew(t, w)
	out, act := env.NewBatch(p.spec, 1).At(0), make([]int32, w.Agents)
	r := key(number).Split("act").Rand()
	p.Reset(env.Episode{Rand: key(number).Rand()}, out)
	for !out.Over() {
		env.RandomActions(p.spec, out.Avail, r, act)
		clear(out.Reward)
		p.Step(env.Actions{Discrete: act}, out)
		see(p, out)
	}
}

// TestOrdersAreConserved: delivered + carried + under contract + waiting = generated at every step; a guided
// courier has one choice and makes at most four moves; the counts agree.
func TestOrdersAreConserved(t *testing.T) {
	for _, w := range []World{Mini(), Paper()} {
		for e := range int64(5) {
			guided, reward, k := make([]int, w.Agents), 0.0, len(w.Restaurants)
			var before []courier
			episode(t, w, e, func(p *platform, out *env.Step) {
				held, delivered, steps := 0, 0, 0.0
				for a := range w.Agents {
					c, avail := courierAt(out.Snapshot, a), 0
					for _, ok := range out.Avail[a*4 : a*4+4] {
						if ok {
							avail++
						}
					}
					if c.guided() && avail != 1 || !c.guided() && avail != 4 {
						t.Fatalf("courier %d with job %d has %d choices", a, c.job, avail)
					}
					if c.job != free {
						held++
					}
					if before != nil && before[a].guided() {
						if before[a].row != c.row || before[a].col != c.col {
							guided[a]++
						}
						if guided[a] > 4 {
							t.Fatalf("courier %d is guided for %d moves, want at most 4", a, guided[a])
						}
					} else {
						guided[a] = 0
					}
					delivered += p.delivered[a]
					steps += float64(w.Steps) / math.Max(1, float64(p.delivered[a])) / float64(w.Agents)
					reward += float64(out.Reward[a])
				}
				before = append(before[:0], p.couriers...)
				waiting, sums := 0, [2]float32{}
				for i, q := range w.queues(out.Snapshot) {
					waiting += int(q)
					sums[0], sums[1] = sums[0]+out.Metrics[i], sums[1]+out.Metrics[k+i]
				}
				m := out.Metrics[2*k:]
				if int(m[2]) != delivered || int(m[3]) != delivered+held+waiting || sums[0] != m[2] || sums[1] != m[3] {
					t.Fatalf("%v generated, %v delivered (%d by couriers, %v at restaurants), %d held, %d waiting", m[3], m[2], delivered, sums, held, waiting)
				}
				if math.Abs(float64(m[0])-reward) > 1e-3 || math.Abs(float64(m[1])-steps) > 1e-3 {
					t.Fatalf("reward %v and steps per order %v, want %v and %v", m[0], m[1], reward, steps)
				}
				if out.Over() && (int(m[3]) != w.Orders || p.t != w.Steps || out.Terminated || out.Outcome != env.Ended) {
					t.Errorf("ends at step %d with %v orders, terminated %v, outcome %v", p.t, m[3], out.Terminated, out.Outcome)
				}
			})
		}
	}
}

// look is Observe, cell by cell from the state.
func look(p *platform, obs []float32) {
	w, side := p.w, 2*p.w.View+1
	for a, c := range p.couriers {
		x := obs[a*p.spec.ObsDim : (a+1)*p.spec.ObsDim]
		for i := range side * side {
			row, col := int(c.row)+i/side-w.View, int(c.col)+i%side-w.View
			var cell [planes]float32
			for b, d := range p.couriers {
				if a != b && int(d.row) == row && int(d.col) == col {
					cell[0] += 1 / float32(w.Crowd)
				}
			}
			for k, at := range w.Restaurants {
				if at == (Cell{row, col}) {
					cell[1] = 1
					cell[2] = float32(min(p.restaurants[k].released-p.restaurants[k].taken, 5)) / 5
				}
			}
			if c.carries() && int(c.toRow) == row && int(c.toCol) == col {
				cell[3] = 1
			}
			if row < 0 || col < 0 || row >= w.Grid || col >= w.Grid {
				cell[4] = 1
			}
			for plane, v := range cell {
				x[plane*side*side+i] = v
			}
		}
		v := x[planes*side*side:]
		clear(v)
		v[0], v[1] = float32(c.row)/float32(w.Grid-1), float32(c.col)/float32(w.Grid-1)
		if c.guided() {
			v[3] = 1
		}
		if c.carries() {
			down, right := float64(c.toRow)-float64(c.row), float64(c.toCol)-float64(c.col)
			v[2], v[4] = 1, float32(math.Abs(down)+math.Abs(right))/float32(2*(w.Grid-1))
			if w.CustomerVector {
				v[5], v[6] = float32(down)/float32(w.Grid-1), float32(right)/float32(w.Grid-1)
			}
		}
	}
}

func TestObserve(t *testing.T) {
	worlds := []World{Paper()}
	for _, view := range []int{1, 2, 4, 10} {
		w := Mini()
		w.View, w.CustomerVector = view, view%2 == 0
		worlds = append(worlds, w)
	}
	for _, w := range worlds {
		got := make([]float32, w.Agents*w.Spec().ObsDim)
		want := make([]float32, len(got))
		carried := false
		episode(t, w, 3, func(p *platform, out *env.Step) {
			for i := range got {
				got[i] = 7
			}
			p.Observe(out.Snapshot, got)
			look(p, want)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: Observe and the cells differ at step %d", p.spec.Name, p.t)
			}
			for _, c := range p.couriers {
				carried = carried || c.carries()
			}
		})
		if !carried {
			t.Errorf("%s: nobody carried anything, so the test says little", w.Name)
		}
	}
}

func TestSpec(t *testing.T) {
	w := Paper()
	s := w.Spec()
	if s.Name != "takeout/paper-v9" || s.ObsDim != 5*19*19+5 || s.Snapshot != 12*5+10 || s.MaxSteps != 720 || len(s.Metrics) != 24 || s.Metrics[19] != "generated_10" {
		t.Errorf("the paper's spec is %+v", s)
	}
	w.CustomerVector = true
	if n := w.Spec().ObsDim; n != s.ObsDim+2 {
		t.Errorf("the direction adds %d values, want 2", n-s.ObsDim)
	}
	if name := Mini().Spec().Name; name != "takeout/mini-v4" {
		t.Errorf("Mini is called %q", name)
	}
}

// TestVisits counts couriers at every moment of an episode, the first among them.
func TestVisits(t *testing.T) {
	w := Mini()
	p := mustNew(t, w)
	out, r := env.NewBatch(p.spec, 1).At(0), key(9).Rand()
	want, actions := make([]float64, w.Grid*w.Grid), [][]int32{}
	count := func() {
		for _, c := range p.couriers {
			want[int(c.row)*w.Grid+int(c.col)]++
		}
	}
	p.Reset(env.Episode{Rand: key(5).Rand()}, out)
	for count(); len(actions) < 30; count() {
		act := make([]int32, w.Agents)
		env.RandomActions(p.spec, out.Avail, r, act)
		p.Step(env.Actions{Discrete: act}, out)
		actions = append(actions, act)
	}
	got, err := w.Visits(nil, key(5), actions)
	if err != nil || !slices.Equal(slices.Concat(got...), want) {
		t.Errorf("visits %v (%v), want %v", got, err, want)
	}
	if got, err = w.Visits(got, key(5), actions); err != nil || got[p.couriers[0].row][p.couriers[0].col] < 2 {
		t.Errorf("a second episode gives %v (%v), want twice as many", got, err)
	}
	for _, wrong := range [][][]float64{{{1}}, make([][]float64, w.Grid)} {
		if _, err := w.Visits(wrong, key(5), actions); err == nil {
			t.Errorf("counts %v were taken", wrong)
		}
	}
}
