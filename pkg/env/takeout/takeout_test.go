package takeout

import (
	"math"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/rng"
)

func key(episode int64) rng.Key { return rng.New(1).Split("env", episode) }

func mustNew(t testing.TB, w World) *platform {
	t.Helper()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	return e.(*platform)
}

// stage is a platform whose couriers and orders stand where a test puts them.
type stage struct {
	*platform
	t   *testing.T
	out *env.Step
}

func newStage(t *testing.T, w World, couriers ...Cell) stage {
	t.Helper()
	w.Agents = len(couriers)
	p := mustNew(t, w)
	s := stage{p, t, env.NewBatch(w.Spec(), 1).At(0)}
	p.Reset(env.Episode{Rand: key(0).Rand()}, s.out)
	clear(p.crowd)
	for a, c := range couriers {
		p.couriers[a] = courier{row: uint8(c.Row), col: uint8(c.Col)}
		p.crowd[c.Row*w.Grid+c.Col]++
	}
	for i := range p.restaurants {
		p.restaurants[i].due, p.restaurants[i].customer = nil, nil
	}
	return s
}

func (s stage) order(restaurant, step int, customer Cell) {
	r := &s.restaurants[restaurant-1]
	r.due = append(r.due, uint16(step))
	r.customer = append(r.customer, [2]uint8{uint8(customer.Row), uint8(customer.Col)})
}

func (s stage) step(act ...int32) {
	clear(s.out.Reward)
	s.Step(env.Actions{Discrete: act}, s.out)
}

func (s stage) want(a int, at Cell, job uint8, reward float32) {
	s.t.Helper()
	c := s.couriers[a]
	if int(c.row) != at.Row || int(c.col) != at.Col || c.job != job || math.Abs(float64(s.out.Reward[a]-reward)) > 1e-6 {
		s.t.Errorf("step %d: courier %d is at (%d, %d) with job %d and is paid %v, want (%d, %d), %d, %v",
			s.platform.t-1, a, c.row, c.col, c.job, s.out.Reward[a], at.Row, at.Col, job, reward)
	}
}

// wide is Mini with the paper's area of 5 × 5. Restaurant 3 is at (4, 6).
func wide() World {
	w := Mini()
	w.Broadcast = 5
	return w
}

// TestFigure1 replays figure 1 of the paper: contract at t = 0 to the closest courier, pick-up at t = 2, no
// second contract until the order is delivered.
func TestFigure1(t *testing.T) {
	s := newStage(t, wide(), Cell{4, 3}, Cell{2, 8}, Cell{9, 0})
	s.order(3, 0, Cell{4, 8})
	s.order(3, 1, Cell{0, 0})
	s.step(right, down, up) // distances to the restaurant: 2, 3, far
	s.want(0, Cell{4, 4}, 3, -0.01)
	s.want(1, Cell{3, 8}, free, -0.01)
	s.want(2, Cell{8, 0}, free, -0.01)
	s.step(left, right, up) // courier 0 is guided, whatever it says; courier 1 leaves the area
	s.want(0, Cell{4, 5}, 3, -0.01)
	s.want(1, Cell{3, 9}, free, -0.01)
	s.step(left, up, up)
	s.want(0, Cell{4, 6}, carrying+3, 4.99)
	s.step(right, up, up)
	s.want(0, Cell{4, 7}, carrying+3, -0.01)
	s.step(right, up, up) // delivers, is free, and takes the second order in the same step
	s.want(0, Cell{4, 8}, 3, 9.99)
	s.step(up, up, up)
	s.want(0, Cell{4, 7}, 3, -0.01)
	s.step(up, left, up)
	s.want(0, Cell{4, 6}, carrying+3, 4.99)
	if c := s.couriers[0]; c.toRow != 0 || c.toCol != 0 {
		t.Errorf("the second order goes to (%d, %d), want (0, 0)", c.toRow, c.toCol)
	}
}

func TestMovesAndBorder(t *testing.T) {
	s := newStage(t, Mini(), Cell{5, 5}, Cell{5, 5}, Cell{5, 5}, Cell{5, 5}, Cell{0, 0}, Cell{9, 9})
	s.step(up, right, down, left, left, down)
	for a, at := range []Cell{{4, 5}, {5, 6}, {6, 5}, {5, 4}} {
		s.want(a, at, free, -0.01)
		if got := s.w.Where(s.out.Snapshot, a); got != at {
			t.Errorf("the snapshot shows courier %d at %v, want %v", a, got, at)
		}
	}
	s.want(4, Cell{0, 0}, free, -0.1)
	s.want(5, Cell{9, 9}, free, -0.1)
}

// TestCrowd keeps couriers in a corner by sending them against the border.
func TestCrowd(t *testing.T) {
	corner := []Cell{{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0}}
	s := newStage(t, Mini(), append(corner, Cell{0, 1})...)
	s.step(up, up, left, up, up, left)
	s.want(5, Cell{0, 1}, free, -0.01) // the sixth stays
	s.want(0, Cell{0, 0}, free, -0.1)

	won := [2]int{}
	for i := range int64(40) { // two for the last place: chance decides
		s := newStage(t, Mini(), append(corner[:4:4], Cell{0, 1}, Cell{1, 0})...)
		s.rand = key(i).Rand()
		s.step(up, up, up, up, left, up)
		if s.crowd[0] != 5 {
			t.Fatalf("%d couriers in the corner, want 5", s.crowd[0])
		}
		for k := range won {
			if c := s.couriers[4+k]; c.row == 0 && c.col == 0 {
				won[k]++
			}
		}
	}
	if won[0]+won[1] != 40 || won[0] < 8 || won[1] < 8 { // binomial: P(< 8) < 1e-4
		t.Errorf("the last place went %v times to each of two, want 40 in all and about 20 each", won)
	}
}

func TestContracts(t *testing.T) {
	for _, c := range []struct {
		name     string
		couriers []Cell // one step to the right before the broadcast
		orders   int    // at restaurant 3, (4, 6)
		jobs     []uint8
	}{
		{"the closest", []Cell{{4, 3}, {4, 4}}, 1, []uint8{free, 3}},
		{"ties to the lowest index", []Cell{{6, 5}, {2, 5}}, 1, []uint8{3, free}},
		{"Manhattan, not Chebyshev", []Cell{{2, 3}, {4, 3}}, 1, []uint8{free, 3}},
		{"corner of the area", []Cell{{2, 3}}, 1, []uint8{3}},
		{"outside the area", []Cell{{1, 5}, {4, 8}, {4, 2}}, 1, []uint8{free, free, free}},
		{"on the cell: pick-up at once", []Cell{{4, 5}}, 1, []uint8{carrying + 3}},
		{"one order each", []Cell{{4, 3}, {4, 4}, {3, 3}}, 2, []uint8{3, 3, free}},
		{"an order too many waits", []Cell{{4, 3}}, 2, []uint8{3}},
	} {
		s := newStage(t, wide(), c.couriers...)
		for range c.orders {
			s.order(3, 0, Cell{0, 0})
		}
		s.step(right, right, right)
		given := 0
		for a, want := range c.jobs {
			if s.couriers[a].job != want {
				t.Errorf("%s: courier %d has job %d, want %d", c.name, a, s.couriers[a].job, want)
			}
			if want != free {
				given++
			}
		}
		if q := int(s.w.queues(s.out.Snapshot)[2]); q != c.orders-given {
			t.Errorf("%s: %d orders wait, want %d", c.name, q, c.orders-given)
		}
	}
}

func TestRestaurantsInOrderOfIds(t *testing.T) {
	w := wide()
	w.Restaurants = []Cell{{5, 7}, {5, 5}}
	s := newStage(t, w, Cell{5, 4})
	s.order(2, 0, Cell{0, 0})
	s.order(1, 0, Cell{0, 0})
	s.step(right) // stands on restaurant 2, but restaurant 1 asks first
	s.want(0, Cell{5, 5}, 1, -0.01)
}

func TestTowards(t *testing.T) {
	for _, c := range []struct {
		row, col uint8
		want     int
	}{
		{2, 5, up}, {8, 5, down}, {5, 8, right}, {5, 2, left},
		{3, 4, up}, {7, 6, down}, {6, 7, right}, {4, 3, left}, // the longer axis
		{4, 4, up}, {4, 6, up}, {6, 4, down}, {6, 6, down}, // ties vertical
	} {
		if got := (courier{row: 5, col: 5}).towards(c.row, c.col); got != c.want {
			t.Errorf("from (5, 5) to (%d, %d): move %d, want %d", c.row, c.col, got, c.want)
		}
	}
}

// TestOrders: 344 orders, 34 or 35 at each of ten restaurants, early enough, never to the restaurant itself.
func TestOrders(t *testing.T) {
	p := mustNew(t, Paper())
	out, more := env.NewBatch(p.spec, 1).At(0), [10]int{}
	for e := range int64(100) {
		p.Reset(env.Episode{Rand: key(e).Rand()}, out)
		all := 0
		for i, r := range p.restaurants {
			n := len(r.due)
			all += n
			if n == 35 {
				more[i]++
			} else if n != 34 {
				t.Fatalf("seed %d: restaurant %d has %d orders, want 34 or 35", e, i+1, n)
			}
			for j, at := range r.customer {
				if r.due[j] >= 690 || at == [2]uint8{r.row, r.col} || at[0] >= 20 || at[1] >= 20 {
					t.Fatalf("seed %d: restaurant %d releases an order at %d for (%d, %d)", e, i+1, r.due[j], at[0], at[1])
				}
			}
		}
		if all != 344 {
			t.Errorf("seed %d: %d orders, want 344", e, all)
		}
	}
	for i, n := range more { // four of ten: 40 of 100 times, standard deviation 4.9
		if n < 20 || n > 60 {
			t.Errorf("restaurant %d has 35 orders in %d of 100 episodes, want about 40", i+1, n)
		}
	}
}

func TestShuffleIsUniform(t *testing.T) {
	r, count := key(0).Rand(), map[[4]int]int{}
	for range 24_000 {
		s := [4]int{0, 1, 2, 3}
		shuffle(s[:], r)
		count[s]++
	}
	if len(count) != 24 {
		t.Errorf("%d permutations of four, want 24", len(count))
	}
	for s, n := range count {
		if n < 845 || n > 1155 { // 1000 ± 5 standard deviations
			t.Errorf("%v comes %d times of 24000, want about 1000", s, n)
		}
	}
}

func TestWrongConstants(t *testing.T) {
	for name, change := range map[string]func(w *World){
		"Name":             func(w *World) { w.Name = "" },
		"Grid":             func(w *World) { w.Grid = 1 },
		"Agents":           func(w *World) { w.Agents = 0 },
		"len(Restaurants)": func(w *World) { w.Restaurants = nil },
		"restaurant 1":     func(w *World) { w.Restaurants = []Cell{{10, 0}} },
		"restaurants 1":    func(w *World) { w.Restaurants = []Cell{{1, 0}, {1, 0}} },
		"Broadcast":        func(w *World) { w.Broadcast = 4 },
		"Crowd":            func(w *World) { w.Crowd = 0 },
		"Steps":            func(w *World) { w.Steps = 0 },
		"Orders":           func(w *World) { w.Orders = 10_000 },
		"OrderWindow":      func(w *World) { w.OrderWindow = 201 },
		"View":             func(w *World) { w.View = 0 },
		"Move":             func(w *World) { w.Move = float32(math.NaN()) },
		"Border":           func(w *World) { w.Border = float32(math.Inf(-1)) },
		"Pickup":           func(w *World) { w.Pickup = float32(math.NaN()) },
		"Deliver":          func(w *World) { w.Deliver = float32(math.NaN()) },
	} {
		w := Mini()
		change(&w)
		_, err := w.New()
		if err == nil || !strings.HasPrefix(err.Error(), "takeout: "+name+" ") || !strings.Contains(err.Error(), "want") {
			t.Errorf("a wrong %s gives %v, want one line that names it", name, err)
		}
	}
	w := Mini()
	w.Grid, w.Agents, w.Crowd, w.Restaurants = 2, 5, 1, []Cell{{0, 0}}
	if _, err := w.New(); err == nil {
		t.Error("5 couriers fit into 4 cells for one each")
	}
}

func TestContract(t *testing.T) {
	odd := Mini() // nothing divides evenly, crowded, seen farther than the grid
	odd.Grid, odd.Agents, odd.Crowd, odd.Orders, odd.View, odd.CustomerVector = 5, 9, 1, 30, 5, true
	odd.Restaurants = []Cell{{0, 0}, {4, 4}, {2, 2}, {0, 3}}
	for _, w := range []World{Mini(), Paper(), odd} {
		envtest.Check(t, w)
	}
}
