package battle

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// TestB9Compositions: how many there are of each size, and that episodes draw them uniformly.
func TestB9Compositions(t *testing.T) {
	for _, c := range []struct {
		of   func(...int) World
		want [7]int // all, 3 to 5, 6, 7, 8, 3, 4
	}{
		{SZ, [7]int{39, 15, 7, 8, 9, 4, 5}}, {CSZ, [7]int{66, 28, 18, 13, 7, 4, 9}}, {MMM, [7]int{66, 28, 18, 13, 7, 4, 9}}, {Marines, [7]int{6, 3, 1, 1, 1, 1, 1}},
	} {
		for i, w := range []World{c.of(), c.of(3, 4, 5), c.of(6), c.of(7), c.of(8), c.of(3), c.of(4)} {
			all := map[string]bool{}
			for _, counts := range w.Compositions() {
				all[fmt.Sprint(counts)] = true
			}
			if len(all) != c.want[i] || len(w.Compositions()) != c.want[i] {
				t.Errorf("%s has %d compositions, %d of them different, want %d", w.name(), len(w.Compositions()), len(all), c.want[i])
			}
		}
	}
	if c := OneDown().Compositions(); len(c) != 6 {
		t.Errorf("%d compositions of one down, want 6", len(c))
	}
	const resets, least = 28_000, 28
	b, out := begin(t, CSZ(3, 4, 5), rng.New(1))
	seen := map[[3]int]int{}
	for episode := range int64(resets) {
		b.Reset(env.Episode{Rand: rng.New(9).Split("env", episode).Rand()}, out)
		var counts, others [3]int
		for u := range b.na {
			counts[slices.Index(b.familyKinds, b.kind[u])]++
		}
		for u := b.na; u < b.n; u++ {
			others[slices.Index(b.familyKinds, b.kind[u])]++
		}
		if counts != others || b.na < 3 || b.na > 5 {
			t.Fatalf("%v allies against %v enemies", counts, others)
		}
		seen[counts]++
	}
	chi2, want := 0.0, float64(resets)/least
	for _, n := range seen {
		chi2 += (float64(n) - want) * (float64(n) - want) / want
	}
	if len(seen) != least || chi2 > 55 { // 27 degrees of freedom: p = 0.001
		t.Errorf("%d compositions are drawn, χ² %.1f, want 28 and at most 55", len(seen), chi2)
	}
}

// TestB10Spawn: army centres 14 ± 2√2 apart at a uniform angle, nobody on top of another or off the map.
func TestB10Spawn(t *testing.T) {
	b, out := begin(t, CSZ(), rng.New(1))
	const resets = 10_000
	angles := make([]float64, 0, resets)
	for episode := range int64(resets) {
		b.Reset(env.Episode{Rand: rng.New(10).Split("env", episode).Rand()}, out)
		var mx, my [2]float64
		for u := range b.n {
			n := float64(b.na)
			mx[b.army(u)] += float64(b.x[u]) / n
			my[b.army(u)] += float64(b.y[u]) / n
		}
		dx, dy := mx[0]-mx[1], my[0]-my[1]
		if d := math.Hypot(dx, dy); math.Abs(d-14) > 2.9 {
			t.Fatalf("the armies are %v apart, want 14 ± 2.9", d)
		}
		angles = append(angles, math.Atan2(dy, dx)/(2*math.Pi)+0.5)
		checkPlaces(t, b)
	}
	slices.Sort(angles)
	ks := 0.0
	for i, a := range angles {
		ks = max(ks, math.Abs(a-float64(i)/resets), math.Abs(a-float64(i+1)/resets))
	}
	if ks > 1.628/math.Sqrt(resets) { // p = 0.01 of Kolmogorov and Smirnov
		t.Errorf("angles differ from uniform by %.4f, want at most %.4f", ks, 1.628/math.Sqrt(resets))
	}
}

func checkPlaces(t *testing.T, b *battle) {
	t.Helper()
	for u := range b.n {
		k := &b.armory.kinds[b.kind[u]]
		if r := k.radius; b.x[u] < r || b.y[u] < r || b.x[u] > b.field.width-r || b.y[u] > b.field.height-r || !k.air && b.field.blocked(b.x[u], b.y[u]) {
			t.Fatalf("%s: unit %d starts at (%v, %v)", b.world.Name, u, b.x[u], b.y[u])
		}
		for v := range u {
			l := &b.armory.kinds[b.kind[v]]
			if d := math.Hypot(float64(b.x[u]-b.x[v]), float64(b.y[u]-b.y[v])); k.air == l.air && d < float64(k.radius+l.radius)-0.01 {
				t.Fatalf("%s: units %d and %d start %v apart, want %v", b.world.Name, u, v, d, k.radius+l.radius)
			}
		}
	}
}

// TestMapsStart: on all maps everybody has room, in both profiles, and the enemy's grid is the allies' turned.
func TestMapsStart(t *testing.T) {
	for _, name := range MapNames() {
		for _, p := range []Profile{SC2, Lite} {
			b, out := begin(t, Map(name).WithProfile(p), rng.New(1))
			for episode := range int64(20) {
				b.Reset(env.Episode{Rand: rng.New(11).Split("env", episode).Rand()}, out)
				checkPlaces(t, b)
			}
		}
	}
	b, _ := begin(t, Map("8m").WithProfile(Lite), rng.New(1))
	for u := range 8 {
		turned := false
		for v := 8; v < 16; v++ {
			turned = turned || near(b.x[u]+b.x[v], 32, 1e-4) && near(b.y[u]+b.y[v], 32, 1e-4)
		}
		if !turned {
			t.Errorf("marine %d at (%v, %v) has no enemy opposite", u, b.x[u], b.y[u])
		}
	}
}

// TestRandomTeams: shares of types, teams that may not be of one type, both kinds of places.
func TestRandomTeams(t *testing.T) {
	b, out := begin(t, Random("terran_5_vs_5"), rng.New(1))
	const resets = 4000
	counts, reflected := map[string]int{}, 0
	for episode := range int64(resets) {
		b.Reset(env.Episode{Rand: rng.New(12).Split("env", episode).Rand()}, out)
		healers := 0
		for u := range b.na {
			counts[b.armory.names[b.kind[u]]]++
			if b.armory.kinds[b.kind[u]].attack == Heal {
				healers++
			}
		}
		if healers == b.na || b.n != 10 {
			t.Fatalf("%d healers of %d allies, %d units", healers, b.na, b.n)
		}
		same := [3]int{}
		for u := range b.n {
			same[b.kind[u]] += 1 - 2*b.army(u)
		}
		if same != [3]int{} {
			t.Fatalf("the armies differ by %v", same)
		}
		east := 0
		for u := range b.na {
			if b.x[u] > 15.5 {
				east++
			}
		}
		if east == 0 {
			reflected++
		}
		checkPlacesLoosely(t, b)
		if want := b.episodePay(); b.fullPay != want {
			t.Fatalf("the full pay is %v, want the episode's %v", b.fullPay, want)
		}
	}
	for name, want := range map[string]float64{"marine": 0.45, "marauder": 0.45, "medivac": 0.1} {
		if got := float64(counts[name]) / (5 * resets); math.Abs(got-want) > 0.02 { // 5 standard deviations of 0.0035
			t.Errorf("%v of the units are of type %s, want %v", got, name, want)
		}
	}
	if p := float64(reflected) / resets; math.Abs(p-0.5) > 0.04 { // 5 standard deviations of 0.008
		t.Errorf("%v of the episodes start as mirror images, want half", p)
	}
	for _, name := range RandomNames() {
		b, out := begin(t, Random(name), rng.New(1))
		for episode := range int64(50) {
			b.Reset(env.Episode{Rand: rng.New(13).Split("env", episode).Rand()}, out)
			checkPlacesLoosely(t, b)
		}
	}
}

// checkPlacesLoosely allows for places in a corner, which no pushing makes wider.
func checkPlacesLoosely(t *testing.T, b *battle) {
	t.Helper()
	for u := range b.n {
		if r := b.armory.kinds[b.kind[u]].radius; b.x[u] < r || b.y[u] < r || b.x[u] > b.field.width-r || b.y[u] > b.field.height-r {
			t.Fatalf("%s: unit %d starts at (%v, %v)", b.world.Name, u, b.x[u], b.y[u])
		}
	}
}

// TestPartialSight: in the hardest setting of SMACv2's extended partial observability an enemy is seen by one
// agent only, and by another after that one's death.
func TestPartialSight(t *testing.T) {
	w := Map("3m")
	w.Miss = 1
	b, out := put(t, w, []stand{{"marine", 14, 16}, {"marine", 14, 17}, {"marine", 14, 18}, {"marine", 16, 16}, {"marine", 16, 17}, {"marine", 16, 18}})
	count := func() (n int) {
		for i := range 3 {
			for v := 3; v < 6; v++ {
				if !out.Hidden[i*6+v] {
					n++
				}
			}
		}
		return n
	}
	if n := count(); n != 3 || out.Hidden[3] {
		t.Errorf("%d pairs see each other, want 3, all of agent 0", n)
	}
	if out.Obs[4+1] == 0 || out.Obs[b.spec.ObsDim+4+1] != 0 {
		t.Error("the observations do not follow")
	}
	b.die(0)
	b.bury()
	b.show(out)
	if n := count(); n != 3 || out.Hidden[6+3] {
		t.Errorf("after the first agent's death %d pairs see each other, want 3, all of agent 1", n)
	}
}

// TestPresetsAreOnesOwn: who changes a world from a constructor changes it for nobody else.
func TestPresetsAreOnesOwn(t *testing.T) {
	m, r := Map("2s3z"), Random("zerg_5_vs_5")
	m.Allies[0].Units[0].N, m.Terrain[0], m.AttackPoint.X, r.Teams.Units[0].P = 9, "", 1, 0
	if again := Map("2s3z"); again.Allies[0].Units[0].N != 2 || again.Terrain[0] == "" || again.AttackPoint.X != 9 || Random("zerg_5_vs_5").Teams.Units[0].P != 0.45 {
		t.Error("a changed preset stays changed")
	}
}
