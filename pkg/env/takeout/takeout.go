// Package takeout is the delivery platform of Z. Zhu, E. A. O. Diallo and T. Sugawara, "Learning Efficient
// Coordination Strategy for Multi-step Tasks in Multi-agent Systems using Deep Reinforcement Learning",
// ICAART 2020 vol. 1, pp. 287–294, DOI 10.5220/0009160102870294: couriers on a grid fetch orders at
// restaurants and carry them to customers.
//
// Decided here, because the paper is silent: the restaurants' cells, the order of events within a step, how
// contracts are made, and which planes and numbers a courier observes (docs/systems/takeout.md).
package takeout

import (
	"fmt"
	"math"

	"github.com/muster-marl/muster/pkg/env"
)

// World holds the constants of the platform. Paper and Mini return the two that are used.
type World struct {
	Name           string  // of the preset; the name of a run adds the view: "takeout/mini-v4"
	Grid           int     // cells per side
	Agents         int     // couriers
	Restaurants    []Cell  // in the order of their ids, which begin with 1
	Broadcast      int     // cells per side of the area around a restaurant in which it finds couriers; odd
	Crowd          int     // couriers that fit into one cell
	Steps          int     // of an episode
	Orders         int     // of an episode, spread evenly over the restaurants
	OrderWindow    int     // steps; orders arrive uniformly in [0, OrderWindow)
	View           int     // V, cells seen in each direction: the window has 2V+1 cells per side
	CustomerVector bool    // true = a carrier also observes the direction to its customer
	Move           float32 // reward of a move, also of one that is blocked
	Border         float32 // reward of a move out of the grid, which stays
	Pickup         float32 // reward of fetching an order
	Deliver        float32 // reward of handing it over
}

// Cell is a place of the grid; (0, 0) is top left.
type Cell struct{ Row, Col int }

// Paper returns the published size with view 9 (the paper also has 6 and 7): 12 couriers, 10 restaurants,
// 720 steps. The restaurants' cells follow the order of labels in the paper's figure 6. OrderWindow is 690,
// not 720, because a published completion of 98–100 % is out of reach while orders arrive until the end.
func Paper() World {
	return World{
		Name: "takeout/paper", Grid: 20, Agents: 12,
		Restaurants: []Cell{{15, 2}, {3, 7}, {4, 13}, {17, 5}, {11, 11}, {1, 12}, {14, 15}, {8, 10}, {9, 4}, {18, 16}},
		Broadcast:   5, Crowd: 5, Steps: 720, Orders: 344, OrderWindow: 690, View: 9,
		Move: -0.01, Border: -0.1, Pickup: 5, Deliver: 10,
	}
}

// Mini returns a platform that learns within minutes, with view 4 (2 and 3 are the others): 4 couriers,
// 4 restaurants, 200 steps.
func Mini() World {
	w := Paper()
	w.Name, w.Grid, w.Agents = "takeout/mini", 10, 4
	w.Restaurants = []Cell{{8, 1}, {2, 3}, {4, 6}, {7, 8}}
	w.Broadcast, w.Steps, w.Orders, w.OrderWindow, w.View = 3, 200, 64, 185, 4
	return w
}

// Spec returns the sizes. An observation is five planes of the window (other couriers, restaurants, their
// waiting orders, the own customer, outside the grid) and the vector row, column, carrying, guided, distance
// to the customer, with CustomerVector also the direction to it. Metrics are counts since the episode began,
// but for steps_per_order: the mean over couriers of Steps/max(1, orders delivered).
func (w World) Spec() env.Spec {
	side, k := 2*w.View+1, len(w.Restaurants)
	metrics := make([]string, 0, 2*k+4)
	for _, kind := range []string{"delivered", "generated"} {
		for id := 1; id <= k; id++ {
			metrics = append(metrics, fmt.Sprintf("%s_%d", kind, id))
		}
	}
	return env.Spec{
		Name:     fmt.Sprintf("%s-v%d", w.Name, w.View),
		Agents:   w.Agents,
		Actions:  []int{len(moves)},
		ObsDim:   planes*side*side + w.numbers(),
		Planes:   [][3]int{{planes, side, side}},
		Snapshot: w.Agents*courierBytes + k,
		MaxSteps: w.Steps,
		Metrics:  append(metrics, "total_reward", "steps_per_order", "delivered", "generated"),
	}
}

// numbers is the length of an observation's vector.
func (w World) numbers() int {
	if w.CustomerVector {
		return 7
	}
	return 5
}

// New returns a platform, or an error naming the first constant that cannot be.
func (w World) New() (env.Env, error) {
	if err := w.validate(); err != nil {
		return nil, err
	}
	return newPlatform(w), nil
}

func (w World) validate() error {
	for _, c := range []struct {
		name        string
		value       int
		least, most int
	}{
		{"Grid", w.Grid, 2, 128},
		{"Agents", w.Agents, 1, 255},
		{"len(Restaurants)", len(w.Restaurants), 1, carrying - 1},
		{"Broadcast", w.Broadcast, 1, 2*w.Grid + 1},
		{"Crowd", w.Crowd, 1, 255},
		{"Steps", w.Steps, 1, math.MaxUint16},
		{"Orders", w.Orders, 1, 255 * len(w.Restaurants)}, // a queue's length is one byte of the snapshot
		{"OrderWindow", w.OrderWindow, 1, w.Steps},
		{"View", w.View, 1, w.Grid},
	} {
		if c.value < c.least || c.value > c.most {
			return fmt.Errorf("takeout: %s is %d, want %d to %d", c.name, c.value, c.least, c.most)
		}
	}
	switch {
	case w.Name == "":
		return fmt.Errorf("takeout: Name is empty, want one such as \"takeout/mini\"")
	case w.Broadcast%2 == 0:
		return fmt.Errorf("takeout: Broadcast is %d, want an odd number: the restaurant is in the middle", w.Broadcast)
	case w.Agents > w.Grid*w.Grid*w.Crowd:
		return fmt.Errorf("takeout: Agents is %d, want at most %d: %d fit into each cell", w.Agents, w.Grid*w.Grid*w.Crowd, w.Crowd)
	}
	for i, c := range w.Restaurants {
		if c.Row < 0 || c.Row >= w.Grid || c.Col < 0 || c.Col >= w.Grid {
			return fmt.Errorf("takeout: restaurant %d is at (%d, %d), want a cell of the %d × %d grid", i+1, c.Row, c.Col, w.Grid, w.Grid)
		}
		for j, d := range w.Restaurants[:i] {
			if c == d {
				return fmt.Errorf("takeout: restaurants %d and %d are both at (%d, %d), want cells of their own", j+1, i+1, c.Row, c.Col)
			}
		}
	}
	for _, r := range []struct {
		name  string
		value float32
	}{{"Move", w.Move}, {"Border", w.Border}, {"Pickup", w.Pickup}, {"Deliver", w.Deliver}} {
		if x := float64(r.value); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("takeout: %s is %v, want a finite number", r.name, r.value)
		}
	}
	return nil
}
