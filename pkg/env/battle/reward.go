package battle

import "github.com/muster-marl/muster/pkg/env"

// SMAC's constants (starcraft2.py and maps; REFIL, config/envs/sc2custom.yaml).
const (
	killPay  = 10
	winPay   = 200
	payScale = 20  // what an episode can pay at most, but for regeneration
	lossPart = 0.5 // of CountLosses: reward_negative_scale
)

// strength is what hp and shields of each army sum to, and how many of its units are dead.
type strength struct {
	left [2]float32
	dead [2]float32
}

func (b *battle) strength() strength {
	s := strength{dead: [2]float32{b.totals[deadAllies], b.totals[deadEnemies]}}
	for u := range b.n { // the dead have 0
		s.left[b.army(u)] += b.hp[u] + b.shield[u]
	}
	return s
}

// pay writes the reward of an environment step, for all agents alike (SMAC, reward_battle):
//
//	r = |ΔE + 10·kills| + 200·[won], times 20/fullPay
//
// where ΔE is what the enemy lost of hp and shields. With the reward Damage ΔE is the damage done; with CountLosses
// the bars go, and half of what the allies lost is taken off, likewise counted.
func (b *battle) pay(out *env.Step, before strength) {
	r, won := float32(0), b.judged.outcome == env.Win
	if b.world.Reward == Sparse {
		switch b.judged.outcome {
		case env.Win:
			r = 1
		case env.Loss:
			r = -1
		}
	} else {
		after := b.strength()
		r = before.left[1] - after.left[1]
		if b.world.Reward == Damage {
			r = b.dealt
		}
		r += killPay * (after.dead[1] - before.dead[1])
		if b.world.CountLosses {
			r -= lossPart * (before.left[0] - after.left[0] + killPay*(after.dead[0]-before.dead[0]))
		} else {
			r = abs(r)
		}
		if won {
			r += winPay
		}
		r *= payScale / b.fullPay
	}
	for i := range out.Reward {
		out.Reward[i] = r
	}
}

// mostPay is what killing the largest enemy army and winning would pay: the family's first by types, then by units
// (REFIL); of Teams it is drawn anew in each episode.
func (b *battle) mostPay() float32 {
	kinds := b.roster.enemies
	if b.compositions != nil {
		kinds = nil
		for t, n := range b.world.Family.largest() {
			for range n {
				kinds = append(kinds, b.familyKinds[t])
			}
		}
	}
	return b.payFor(kinds)
}

// episodePay is the same for the enemy of this episode.
func (b *battle) episodePay() float32 { return b.payFor(b.kind[b.na:b.n]) }

func (b *battle) payFor(kinds []uint8) float32 {
	sum := float32(winPay)
	for _, k := range kinds {
		sum += killPay + b.armory.kinds[k].hp + b.armory.kinds[k].shield
	}
	return sum
}
