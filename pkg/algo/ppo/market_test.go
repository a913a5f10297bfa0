package ppo

import (
	"fmt"
	"testing"

	"github.com/muster-marl/muster/pkg/env/oligopoly"
	"github.com/muster-marl/muster/pkg/train"
)

// Two and three sellers in run directories, for the tables of docs/systems/steer.md: four seeds of 30,000 plays.
// TestMarket judges them.
func TestMarketTables(t *testing.T) {
	for _, firms := range []int{2, 3} {
		for _, s := range []System{STEER(one(), Token, quantities()), IPPO(apart(), quantities())} {
			t.Run(fmt.Sprintf("%s/%d", s.Name, firms), func(t *testing.T) {
				for seed := range uint64(4) {
					final := tried(t, s, oligopoly.Market{Firms: firms}, seed, 30_000, train.Eval{Every: 3_000, Episodes: 1, Record: -1}, 11).final
					t.Logf("seed %d: quantities and price %v", seed, final.Metrics)
				}
			})
		}
	}
}
