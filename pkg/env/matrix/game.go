package matrix

import (
	"fmt"
	"math"
	"slices"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/game"
)

// Game is a table as a world: one step, after which each agent receives what the table pays it. There is nothing to
// see: the observation is the number 0, the state one 0 for each agent. The metrics of an episode are 1 or 0:
// "stackelberg", the agents did what players do who decide in the order 0, 1, …; "nash", they did what is an
// equilibrium in pure strategies.
//
// Games whose source is "Bi-AC" are of H. Zhang et al., "Bi-level Actor-Critic for Multi-agent Coordination", AAAI
// 2020, the others of the released code of Zhang et al., "Sequential Asynchronous Action Coordination in
// Multi-Agent Systems: A Stackelberg Decision Transformer Approach", ICML 2024, file envs/matrix_game/matrix_env.py.
type Game struct {
	Name  string
	Table game.Table
}

func preset(name string, first, second [][]float64) Game {
	g := Game{Name: name, Table: game.Table{Actions: []int{len(first), len(first[0])}}}
	for i, row := range first {
		for j := range row {
			g.Table.Payoff = append(g.Table.Payoff, row[j], second[i][j])
		}
	}
	return g
}

// SkewedPenalty is a penalty game whose two good joint actions pay differently, 10 at (0, 2) and 8 at (2, 0), and k
// at (0, 0) and (2, 2). The paper's k are 0, −25, −50, −75, −100 and −1000.
func SkewedPenalty(k float64) Game {
	pay := [][]float64{{k, 0, 10}, {0, 2, 0}, {8, 0, k}}
	return preset(fmt.Sprintf("matrix/skewed-penalty%g", k), pay, pay)
}

// Mixing is a game in which the order of decisions changes everything: (0, 0) pays 0 and 5 where agent 0 decides
// first, (0, 2) pays −8 and 4 where agent 1 does, and the only equilibrium of simultaneous choices, (1, 1), −5 and 0.
func Mixing() Game { return preset("matrix/mixing", mixingFirst, mixingSecond) }

// DifferentOrder is Mixing under the name that it has in the code.
func DifferentOrder() Game { return preset("matrix/different-order", mixingFirst, mixingSecond) }

// MixingReverse is Mixing with the agents' parts exchanged.
func MixingReverse() Game {
	return preset("matrix/mixing-reverse", [][]float64{{5, -10, 0}, {-5, 0, -5}, {4, -5, 5}}, [][]float64{{0, -5, 5}, {-10, -5, -10}, {-8, -15, -10}})
}

var (
	mixingFirst  = [][]float64{{0, -10, -8}, {-5, -5, -15}, {5, -10, -10}}
	mixingSecond = [][]float64{{5, -5, 4}, {-10, 0, -5}, {0, -5, 5}}
)

// Climbing is the climbing game of Bi-AC with payoffs of each agent's own: its leader, agent 0, gets 20 and the
// follower 15 at (0, 0), but that is no equilibrium of simultaneous choices; (1, 1) and (2, 2) are.
func Climbing() Game {
	return preset("matrix/climbing", [][]float64{{20, 0, 0}, {30, 10, 0}, {0, 0, 5}}, [][]float64{{15, 0, 0}, {0, 5, 0}, {0, 0, 10}})
}

// Preference is the coordination game with preference: a leader who can commit to 0 gets 40 instead of the
// equilibrium's 20, and so does its follower.
func Preference() Game {
	return preset("matrix/preference", [][]float64{{40, 0}, {80, 20}}, [][]float64{{40, 0}, {0, 20}})
}

// Chicken is the game of chicken, in which who decides first gets its way.
func Chicken() Game {
	return preset("matrix/chicken", [][]float64{{3, 2}, {4, 1}}, [][]float64{{3, 4}, {2, 1}})
}

// TeamGame pays both agents alike: 8 at (0, 0) with much to lose beside it, 6 at the safer (1, 1) and (2, 2).
func TeamGame() Game {
	pay := [][]float64{{8, -12, -12}, {-12, 6, 0}, {-12, 0, 6}}
	return preset("matrix/team", pay, pay)
}

// TeamClimbing is Climb as a Game, with its metrics.
func TeamClimbing() Game {
	pay := [][]float64{{11, -30, 0}, {-30, 7, 6}, {0, 0, 5}}
	return preset("matrix/team-climbing", pay, pay)
}

// New returns the game, or an error if the table is none, is too large, or its players have different numbers of choices.
func (g Game) New() (env.Env, error) {
	if g.Name == "" {
		return nil, fmt.Errorf("matrix: Game.Name is empty, want one such as \"matrix/mixing\"")
	}
	if err := playable(g.Table); err != nil {
		return nil, fmt.Errorf("matrix: %s: %w", g.Name, err)
	}
	p := &play{game: g, marks: make([][2]float32, g.Table.Size())}
	best, err := g.Table.Stackelberg(nil)
	if err != nil {
		return nil, err
	}
	p.marks[g.Table.Index(best...)][0] = 1
	for _, joint := range g.Table.Nash() {
		p.marks[g.Table.Index(joint...)][1] = 1
	}
	return p, nil
}

// playable says why a table cannot be played, nil if it can: agents share the sizes of their action heads, and what
// is paid must fit a float32.
func playable(t game.Table) error {
	if err := t.Validate(); err != nil {
		return err
	}
	if most := 100_000; t.Size() > most {
		return fmt.Errorf("a table of %d joint actions, want at most %d", t.Size(), most)
	}
	for _, n := range t.Actions {
		if n != t.Actions[0] {
			return fmt.Errorf("players have %v choices, want as many each", t.Actions)
		}
	}
	if i := slices.IndexFunc(t.Payoff, func(x float64) bool { return math.Abs(x) > math.MaxFloat32 }); i >= 0 {
		return fmt.Errorf("payoff %g of player %d is too large", t.Payoff[i], i%t.Players())
	}
	return nil
}

// play is a game that is played; it has no state between steps.
type play struct {
	game  Game
	marks [][2]float32 // [joint action], the two metrics
}

func (p *play) Spec() env.Spec {
	n := p.game.Table.Players()
	return env.Spec{
		Name: p.game.Name, Agents: n, Actions: []int{p.game.Table.Actions[0]}, ObsDim: 1, StateDim: n, MaxSteps: 1,
		Metrics: []string{"stackelberg", "nash"},
	}
}

func (p *play) Reset(_ env.Episode, out *env.Step) { p.show(out, [2]float32{}) }

func (p *play) Step(act env.Actions, out *env.Step) {
	i := 0
	for a, k := range p.game.Table.Actions {
		i = i*k + int(act.Discrete[a])
	}
	p.show(out, p.marks[i])
	for a := range out.Reward {
		out.Reward[a] = float32(p.game.Table.Payoff[i*len(out.Reward)+a])
	}
	out.Terminated, out.Outcome = true, env.Ended
}

func (p *play) show(out *env.Step, marks [2]float32) {
	clear(out.Obs)
	clear(out.State)
	for i := range out.Avail {
		out.Avail[i] = true
	}
	copy(out.Metrics, marks[:])
}
