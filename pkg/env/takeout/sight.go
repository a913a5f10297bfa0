package takeout

import (
	"fmt"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

const (
	planes       = 5 // other couriers, restaurants, waiting orders, own customer, outside the grid
	courierBytes = 5 // of the snapshot: row, column, job, row and column of the cell to reach
	queueShown   = 5 // orders; longer queues look alike
)

// sight knows the constants from which observations follow. Nothing writes it, so Observe may run beside Step.
type sight struct {
	w    World
	spec env.Spec
	side int       // cells per side of the window
	part []float32 // [i] i/(Grid−1) for rows, columns and differences
	ones []float32 // a row of the window
}

func newSight(w World) sight {
	s := sight{w: w, spec: w.Spec(), side: 2*w.View + 1}
	s.part, s.ones = make([]float32, w.Grid), make([]float32, s.side)
	for i := range s.part {
		s.part[i] = float32(i) / float32(w.Grid-1)
	}
	for i := range s.ones {
		s.ones[i] = 1
	}
	return s
}

// Spec returns the sizes.
func (s *sight) Spec() env.Spec { return s.spec }

// show writes the moment: the observations' vectors, what may be chosen, the snapshot and the metrics.
func (p *platform) show(out *env.Step) {
	n, dim := p.w.numbers(), p.spec.ObsDim
	snapshot, avail := out.Snapshot, out.Avail
	for a := range p.couriers {
		c := p.couriers[a]
		p.vector(c, out.Obs[(a+1)*dim-n:(a+1)*dim])
		some := avail[a*len(moves) : (a+1)*len(moves)]
		if c.guided() {
			clear(some)
			some[c.towards(c.toRow, c.toCol)] = true
		} else {
			some[up], some[right], some[down], some[left] = true, true, true, true
		}
		b := snapshot[a*courierBytes : (a+1)*courierBytes]
		b[0], b[1], b[2], b[3], b[4] = c.row, c.col, c.job, c.toRow, c.toCol
	}
	queues := snapshot[len(p.couriers)*courierBytes:]
	for i := range p.restaurants {
		queues[i] = uint8(p.restaurants[i].released - p.restaurants[i].taken)
	}
	copy(out.Metrics, p.metrics)
}

// courierAt reads courier a from a snapshot.
func courierAt(snapshot []byte, a int) courier {
	b := snapshot[a*courierBytes : (a+1)*courierBytes]
	return courier{b[0], b[1], b[2], b[3], b[4]}
}

// Where returns the cell of a courier in a snapshot.
func (w World) Where(snapshot []byte, courier int) Cell {
	c := courierAt(snapshot, courier)
	return Cell{int(c.row), int(c.col)}
}

// Visits plays a recorded episode again and adds to counts [row][column] how often a courier stood on each cell (the
// paper's figure 6); nil counts begin anew.
func (w World) Visits(counts [][]float64, key rng.Key, actions [][]int32) ([][]float64, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	if counts == nil {
		counts = make([][]float64, w.Grid)
		for i := range counts {
			counts[i] = make([]float64, w.Grid)
		}
	}
	for _, row := range counts {
		if len(counts) != w.Grid || len(row) != w.Grid {
			return nil, fmt.Errorf("takeout: %d × %d counts of visits, want %d × %d", len(counts), len(row), w.Grid, w.Grid)
		}
	}
	return counts, env.Play(w, key, actions, nil, func(_ int, _ env.Env, s *env.Step) error {
		for a := range w.Agents {
			c := w.Where(s.Snapshot, a)
			counts[c.Row][c.Col]++
		}
		return nil
	})
}

// queues are the waiting orders of each restaurant in a snapshot.
func (w World) queues(snapshot []byte) []byte { return snapshot[w.Agents*courierBytes:] }

// vector writes row, column, carrying, guided and the distance to the customer, with CustomerVector also the
// signed distances down and right, all at most 1.
func (s *sight) vector(c courier, v []float32) {
	v[0], v[1], v[2], v[3], v[4] = s.part[c.row], s.part[c.col], 0, 0, 0
	if c.guided() {
		v[3] = 1
	}
	if c.carries() {
		v[2], v[4] = 1, float32(c.distance())/float32(2*(s.w.Grid-1))
	}
	if len(v) > 5 {
		v[5], v[6] = 0, 0
		if c.carries() {
			v[5], v[6] = s.part[gap(c.row, c.toRow)], s.part[gap(c.col, c.toCol)]
			if c.toRow < c.row {
				v[5] = -v[5]
			}
			if c.toCol < c.col {
				v[6] = -v[6]
			}
		}
	}
}

// Observe draws what every courier sees; see World.Spec.
func (s *sight) Observe(snapshot []byte, obs []float32) {
	dim, n := s.spec.ObsDim, s.side*s.side
	for a := range s.w.Agents {
		c, row := courierAt(snapshot, a), obs[a*dim:(a+1)*dim]
		s.vector(c, row[planes*n:])
		clear(row[:planes*n])
		others, shops, queues, customer, outside := row[:n], row[n:2*n], row[2*n:3*n], row[3*n:4*n], row[4*n:5*n]
		for b := range s.w.Agents {
			if at := s.seen(c, int(snapshot[b*courierBytes]), int(snapshot[b*courierBytes+1])); at >= 0 && a != b {
				others[at] += 1 / float32(s.w.Crowd)
			}
		}
		for i, q := range s.w.queues(snapshot) {
			if at := s.seen(c, s.w.Restaurants[i].Row, s.w.Restaurants[i].Col); at >= 0 {
				shops[at], queues[at] = 1, float32(min(q, queueShown))/queueShown
			}
		}
		if c.carries() {
			if at := s.seen(c, int(c.toRow), int(c.toCol)); at >= 0 {
				customer[at] = 1
			}
		}
		s.markOutside(c, outside)
	}
}

// seen is the index of a cell in the window of c, or −1.
func (s *sight) seen(c courier, row, col int) int {
	y, x := row-int(c.row)+s.w.View, col-int(c.col)+s.w.View
	if uint(y) >= uint(s.side) || uint(x) >= uint(s.side) {
		return -1
	}
	return y*s.side + x
}

// markOutside writes 1 into the cells of the window of c that are not in the grid: whole rows, or the run
// before and the run after the grid's columns.
func (s *sight) markOutside(c courier, plane []float32) {
	first := min(max(s.w.View-int(c.col), 0), s.side)
	last := min(max(s.w.Grid+s.w.View-int(c.col), 0), s.side)
	for y := range s.side {
		line := plane[y*s.side : (y+1)*s.side]
		if r := int(c.row) + y - s.w.View; r < 0 || r >= s.w.Grid {
			copy(line, s.ones)
			continue
		}
		copy(line[:first], s.ones)
		copy(line[last:], s.ones)
	}
}
