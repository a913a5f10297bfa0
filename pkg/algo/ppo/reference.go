package ppo

import "math"

// calibration is where the numbers of this file come from. No run of this library is among them.
const calibration = "calibration runs of an independent re-implementation in PyTorch, by the rules of STEER's released code (the paper's own numbers are not public)"

// Counts says how many seeds attained something: plain data that report.Counts(…) takes over.
type Counts struct {
	Source        string
	What          string
	Over          string
	Rows, Columns []string
	Seeds         [][][3]int // [row][column]: held it, had it at the end, of how many; −1 or 0 of 0 = not given
	Note          string
}

// Published is a table of means: plain data that report.Published(…) takes over.
type Published struct {
	Source  string
	What    string
	Over    string
	Rows    []string
	Columns []string
	Values  [][]float64
	Note    string
	Spread  [][]float64 // [row][column] standard deviation over runs; nil = not given
}

// ReferenceGames says how many seeds of STEER and its baselines find the Stackelberg solution of games of one step. Rows
// are named setting: game. "released" is Released(OneStep()) after 10,000 plays; "schedule" has Ours' entropy
// coefficient besides, "apart" also advantages of each agent apart; "ours" is Ours after 20,000 plays. MAPPO and HAPPO
// have separate networks of width 64; IPPO coincides with that MAPPO.
func ReferenceGames() Counts {
	end := func(k, n int) [3]int { return [3]int{-1, k, n} }
	both := func(held, k, n int) [3]int { return [3]int{held, k, n} }
	held := func(k, n int) [3]int { return [3]int{k, -1, n} }
	none := [3]int{}
	missed := [][3]int{end(0, 5), end(0, 5), end(0, 5), end(0, 5)}
	c := Counts{
		Source: calibration, What: "the Stackelberg solution of games of one step, agent 0 first", Over: "setting: game",
		Columns: []string{"steer", "mat", "mappo", "happo"},
	}
	for _, row := range []struct {
		name  string
		seeds [][3]int
	}{
		{"released: skewed-penalty0", [][3]int{end(5, 5), end(5, 5), end(5, 5), end(5, 5)}},
		{"released: skewed-penalty-25", missed},
		{"released: skewed-penalty-50", missed},
		{"released: skewed-penalty-100", missed},
		{"released: mixing", [][3]int{both(8, 10, 10), both(4, 6, 10), both(0, 0, 10), both(0, 0, 10)}},
		{"released: climbing", [][3]int{both(1, 1, 10), end(0, 5), end(0, 5), end(0, 5)}},
		{"schedule: skewed-penalty-100", [][3]int{end(10, 10), end(10, 10), end(0, 10), end(0, 10)}},
		{"schedule: mixing", [][3]int{end(9, 10), end(9, 10), end(0, 10), end(0, 10)}},
		{"apart: skewed-penalty-100", [][3]int{both(10, 10, 10), both(10, 10, 10), both(0, 0, 10), both(0, 0, 10)}},
		{"apart: mixing", [][3]int{both(9, 10, 10), both(9, 9, 10), both(0, 9, 10), both(0, 10, 10)}},
		{"apart: climbing", [][3]int{both(9, 10, 10), both(9, 10, 10), both(0, 0, 10), both(0, 0, 10)}},
		{"apart: team-climbing", [][3]int{end(5, 5), end(5, 5), end(0, 5), none}},
		{"apart, 20,000 plays: mixing-reverse", [][3]int{end(7, 10), none, none, none}},
		{"ours: skewed-penalty-100", [][3]int{held(10, 10), held(10, 10), held(0, 10), held(0, 10)}},
		{"ours: mixing", [][3]int{held(10, 10), held(10, 10), held(0, 10), held(0, 10)}},
		{"ours: mixing-reverse", [][3]int{held(10, 10), held(10, 10), none, none}},
		{"ours: climbing", [][3]int{held(9, 10), held(10, 10), held(0, 10), held(0, 10)}},
	} {
		c.Rows, c.Seeds = append(c.Rows, row.name), append(c.Seeds, row.seeds)
	}
	return c
}

// ReferenceNStep says how many seeds earn the solution of the games of several steps after 200,000 steps: a mean return of
// 26.5 (29 and 24) in Coordination, 13 in Cooperation. "ours" is Ours(NStep(), 200,000).
func ReferenceNStep() Counts {
	end := func(k, n int) [3]int { return [3]int{-1, k, n} }
	none := [3]int{}
	return Counts{
		Source: calibration, What: "the solution of games of 10 steps", Over: "setting: game", Columns: []string{"steer", "mat", "mappo"},
		Rows: []string{
			"ours: coordination", "without the floor: coordination", "released losses, 100 × 10: coordination",
			"ours: cooperation", "without the floor: cooperation", "without the floor: cooperation, legacy branch",
		},
		Seeds: [][][3]int{
			{end(4, 5), end(1, 3), end(0, 3)}, {end(3, 3), end(1, 2), end(0, 2)}, {end(0, 2), none, none},
			{end(3, 3), none, none}, {end(2, 3), end(2, 2), end(2, 2)}, {end(3, 3), none, end(3, 3)},
		},
		Note: "The released code itself, one seed, finds both solutions, in rollouts of 10 × 100 steps",
	}
}

// ReferenceMarket are quantities of two and three sellers after 30,000 plays, means of four seeds of STEER and three of
// independent PPO. Independent sellers end near Nash with three firms, too (0.25 to 0.29 each).
func ReferenceMarket() Published {
	return Published{
		Source: calibration, What: "quantities sold, greedy, after 30,000 plays", Over: "seller", Rows: []string{"1", "2"},
		Columns: []string{"steer", "ippo"}, Values: [][]float64{{0.472, 0.339}, {0.255, 0.339}},
		Note: "Exact: 0.5 and 0.25 where sellers decide in order, 0.333 each where they decide at once",
	}
}

// ReferenceMarket3 is ReferenceMarket for three sellers.
func ReferenceMarket3() Published {
	return Published{
		Source: calibration, What: "quantities sold, greedy, after 30,000 plays", Over: "seller", Rows: []string{"1", "2", "3"},
		Columns: []string{"steer", "ippo"}, Values: [][]float64{{0.457, math.NaN()}, {0.234, math.NaN()}, {0.138, math.NaN()}},
		Note: "Exact: 0.5, 0.25 and 0.125 where sellers decide in order; 0.25 each where they decide at once, near which independent sellers ended (0.25 to 0.29)",
	}
}

// ReferenceSpread are greedy returns on SpreadSTEER with Released(Spreading()), one seed. Random agents earn −139.5.
func ReferenceSpread() Published {
	return Published{
		Source: calibration, What: "greedy return of spread, the sum of what three agents earn in 25 steps", Over: "joint steps",
		Rows: []string{"256,000", "512,000", "1,024,000"}, Columns: []string{"steer", "mat", "mappo"},
		Values: [][]float64{{-82.3, -89.7, -101.0}, {-67.2, -76.2, -85.2}, {-56.2, -64.5, -68.1}},
		Note:   "Its numbers are of one seed; random agents earn −139.5",
	}
}
