package battle

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/rng"
)

// TestBadWorlds: what cannot be is refused in one line that names the value and what is expected.
func TestBadWorlds(t *testing.T) {
	change := func(w World, f func(w *World)) World {
		f(&w)
		return w
	}
	unit := func(f func(u *Unit)) World {
		u := Units(SC2)[0]
		f(&u)
		w := Map("3m")
		w.Units = []Unit{u}
		return w
	}
	nan := math.NaN()
	for _, c := range []struct {
		w    World
		want string
	}{
		{Map("2s3y"), `there is no map "2s3y"; the nearest is "2s3z"`},
		{Map("27m"), `there is no map "27m"; the nearest is "25m"`},
		{Random("protos_5_vs_5"), `there is no map "protos_5_vs_5"; the nearest is "protoss_5_vs_5"`},
		{World{}, "Name is empty"},
		{Open("empty", 10), "has 0 kinds of armies"},
		{change(SZ(), func(w *World) { w.Name = "../sz" }), `Name is "../sz", want letters`},
		{change(SZ(), func(w *World) { w.Allies = Map("3m").Allies }), "has 2 kinds of armies"},
		{change(Map("3m"), func(w *World) { w.Enemies = nil }), "Enemies has 0 units, want 1 to 128"},
		{change(Map("3m"), func(w *World) { w.Allies = nil }), "Terrain is for fixed armies"},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{9, 16, some(-3, "marine")}} }), `Allies has -3 of unit "marine", want 1 to 128`},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{9, 16, some(3, "marin")}} }), `no unit "marin"; the nearest is "marine"`},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{nan, 16, some(3, "marine")}} }), "starts at (NaN, 16), want a point of the 32 × 32 map"},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{9, 16, some(3, "medivac")}} }), "Allies has healers only"},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{0, 16, some(3, "marine")}} }), "a marine would start at (-0."},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{9, 2, some(3, "marine")}} }), "where it has no room"},
		{change(Map("3m"), func(w *World) { w.Allies = []Group{{9, 16, some(100, "colossus")}} }), "a colossus would start at"},
		{change(Map("3m"), func(w *World) { w.Limit = -1 }), "Limit is -1, want 1 to 100000"},
		{change(Map("3m"), func(w *World) { w.Epsilon = nan }), "Epsilon is NaN, want 0 to 1"},
		{change(Map("3m"), func(w *World) { w.Sight = math.Inf(1) }), "Sight is +Inf"},
		{change(Map("3m"), func(w *World) { w.Profile = 7 }), "Profile is 7, want 0 to 1"},
		{change(Map("3m"), func(w *World) { w.Terrain = w.Terrain[1:] }), "Terrain has 31 rows, want Height, 32"},
		{change(Map("3m"), func(w *World) { w.Terrain = slices.Repeat([]string{"?"}, 32) }), `row 0 of Terrain is "?"`},
		{change(Map("3m"), func(w *World) { w.AttackPoint = &Point{-1, 0} }), "AttackPoint is (-1, 0)"},
		{Map("3m").WithSizes(3), "Sizes and Composition are for families"},
		{Map("3m").WithLeaders(3), "Leaders is 3 where 3 allies may fight, want 0 to 2: no more leaders than followers, or 2"},
		{Map("3m").WithLeaders(-1), "Leaders is -1"},
		{SZ(6).WithLeaders(4), "Leaders is 4 where 6 allies may fight, want 0 to 3"},
		{SZ(8, 3).WithLeaders(3), "Leaders is 3 where 3 allies may fight, want 0 to 2"},
		{SZ().WithLeaders(3), "Leaders is 3 where 3 allies may fight"},
		{OneDown(5).WithLeaders(3), "Leaders is 3 where 5 allies may fight"},
		{change(SZ(8), func(w *World) { w.Composition, w.Leaders = []int{4, 1}, 3 }), "Leaders is 3 where 5 allies may fight"},
		{Random("zerg_5_vs_5").WithLeaders(3), "Leaders is 3 where 5 allies may fight"},
		{SZ(9), "a size of 9 allies, want 3 to 8"},
		{SZ(2, 3), "a size of 2 allies, want 3 to 8"},
		{change(SZ(), func(w *World) { w.Sizes = []int{} }), "Sizes is empty"},
		{change(SZ(), func(w *World) { w.Composition = []int{5, 4} }), "has 9 units, want 1 to 8, the slots there are"},
		{change(SZ(), func(w *World) { w.Composition = []int{1, -1} }), `Composition has -1 of unit "zealot"`},
		{change(SZ(), func(w *World) { w.Composition = []int{1} }), "Composition has 1 counts, want 2"},
		{change(MMM(), func(w *World) { w.Composition = []int{0, 0, 2} }), "has healers only"},
		{change(MMM(), func(w *World) { w.Family.Most = 2 }), "Family.Least is 3, want 1 to 2"},
		{change(MMM(), func(w *World) { w.Family.Extra = "" }), "want both or neither"},
		{change(SZ(), func(w *World) { w.Width = 10 }), "the map is 10 × 32 cells"},
		{change(Random("zerg_5_vs_5"), func(w *World) { w.Teams.Units = w.Teams.Units[:2] }), "sum to 0.9"},
		{change(Random("zerg_5_vs_5"), func(w *World) { w.Teams.Allies = 0 }), "Teams has 0 allies"},
		{unit(func(u *Unit) { u.HP = -1 }), `unit "marine": HP is -1, want 1 to 1e+06`},
		{unit(func(u *Unit) { u.Speed = nan }), `unit "marine": Speed is NaN`},
		{unit(func(u *Unit) { u.Radius = 0 }), `unit "marine": Radius is 0`},
		{unit(func(u *Unit) { u.Bonus = []Bonus{{"light", nan}} }), "a Bonus of NaN"},
		{unit(func(u *Unit) { u.Name = "" }), "a unit has no name"},
		{unit(func(u *Unit) { u.Attack = 9 }), "Attack is 9, want 0 to 3"},
	} {
		if _, err := c.w.New(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "battle: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s gives %v, want one line with %q", c.w.Name, err, c.want)
		}
		c.w.Near()(nil, nil, env.Actions{}) // a script of what cannot be does nothing
	}
}

const duel = `{"Name": "duel", "Limit": 100, "Profile": "lite", "Enemy": "smax",
 "Allies":  [{"X":  9, "Y": 16, "Units": [{"Unit": "stalker", "N": 2}]}],
 "Enemies": [{"X": 23, "Y": 16, "Units": [{"Unit": "ogre", "N": 1}]}],
 "Units": [{"Name": "ogre", "HP": 300, "Damage": 20, "Hits": 1, "Cooldown": 1, "Range": 0.1,
            "Speed": 2, "Radius": 0.8, "Sight": 9, "Scan": 5, "Is": ["armored"], "HitsGround": true}]}`

func TestLoad(t *testing.T) {
	w, err := Load(strings.NewReader(duel))
	if err != nil {
		t.Fatal(err)
	}
	b, out := begin(t, w, rng.New(1))
	if b.spec.Name != "battle/duel-lite" || b.spec.Agents != 2 || b.world.Enemy != Nearest || b.world.Sight != 9 {
		t.Errorf("loaded %+v", b.world)
	}
	ogre := uint8(slices.Index(b.armory.names, "ogre"))
	if k := b.armory.kinds[ogre]; k.hp != 300 || b.armory.versus(1-ogre, ogre).damage != 18 {
		t.Errorf("the ogre has %v hp, a stalker hits it with %v, want 300 and 18", k.hp, b.armory.versus(1-ogre, ogre).damage)
	}
	for !out.Over() {
		b.step(out, Stop, Stop)
	}
	if out.Outcome != env.Loss {
		t.Errorf("standing still against an ogre ends with %v, want a loss", out.Outcome)
	}
	path := filepath.Join(t.TempDir(), "duel.json")
	if err := os.WriteFile(path, []byte(duel), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadFile(path); err != nil || !reflect.DeepEqual(again, w) {
		t.Errorf("the file gives %+v, %v", again, err)
	}
	if _, err := LoadFile(path + "x"); err == nil {
		t.Error("a file that is not there gives no error")
	}
	for _, w := range []World{Map("corridor"), CSZ(3, 4, 5).WithLeaders(2), Random("zerg_10_vs_11"), Map("2s3z").WithProfile(Lite)} {
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Load(strings.NewReader(string(text))); err != nil || !reflect.DeepEqual(again, w) {
			t.Errorf("%s written and loaded is %+v, %v", w.Name, again, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "line 1 of the scenario: it ends too early"},
		{"{\n\"Name\": \"x\",\n", "line 3 of the scenario: it ends too early"},
		{"{\n\"Name\": \"x\",,\n}", "line 2 of the scenario: invalid character ','"},
		{"{\n\n\"Limit\": \"x\"}", `line 3 of the scenario: field "Limit" is a string, want int`},
		{"{\"Allies\": [\n{\"Units\": [\n{\"N\": 1.5}]}]}", `line 3 of the scenario: field "Allies.Units.N" is a number 1.5, want int`},
		{"{\n\"Hitpoints\": 1}", `line 2 of the scenario: there is no field "Hitpoints"`},
		{"{\n\"Profile\": \"sc3\"}", `line 2 of the scenario: field "Profile" is "sc3", want sc2, lite`},
		{"{}\n{}", "line 2 of the scenario: more after its end"},
		{strings.Replace(duel, "300", "-300", 1), `unit "ogre": HP is -300`},
		{strings.Repeat(" ", mostBytes+1), "more than 1048576 bytes"},
	} {
		if _, err := Load(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q gives %v, want one line with %q", c.text, err, c.want)
		}
	}
}

// TestIllegalActions: without a Vec they mean to stop, for the dead nothing, and are counted.
func TestIllegalActions(t *testing.T) {
	b, out := begin(t, Map("3m"), rng.New(1))
	x := slices.Clone(b.x[:3])
	b.step(out, NoOp, -5, FirstTarget) // no enemy is in reach at the start
	if !slices.Equal(b.x[:3], x) || out.Metrics[illegalActions] != 3 {
		t.Errorf("illegal actions move from %v to %v and count as %v", x, b.x[:3], out.Metrics[illegalActions])
	}
	b.die(0)
	b.bury()
	b.step(out, East, 1<<30, Stop)
	if out.Metrics[illegalActions] != 5 || b.x[0] != x[0] {
		t.Errorf("%v illegal actions, want 5", out.Metrics[illegalActions])
	}
	fresh, err := Map("3m").New()
	if err != nil {
		t.Fatal(err)
	}
	fresh.Step(env.Actions{Discrete: []int32{1, 1, 1}}, out) // before the first Reset: over
	if !out.Over() {
		t.Error("a battle that has not begun is not over")
	}
}

// FuzzLoad: whatever the text, Load returns a world that can be played or an error in one line.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		duel, "", "{", "null", "[]", `{"Name":"x"}`, `{"Name":"3m","Limit":1}`, `{"Units":[{"Name":"marine","HP":1e400}]}`,
		`{"Family":{"Types":["marine"],"Least":1,"Most":30,"Extra":"medivac","MostExtra":30},"Name":"f","Limit":3,"Sight":9,"Reach":6}`,
		strings.Replace(duel, `"HitsGround": true`, `"Attack": "suicide", "Splash": 9, "HitsGround": true`, 1),
		strings.Replace(duel, `"HP": 300`, `"HP": 3, "Cooldown": 0, "Shield": 1, "Attack": "line"`, 1),
		strings.Replace(duel, "lite", "\\u0000", 1), `{"Terrain":["..","##"],"Width":2,"Height":2,"Name":"t","Limit":1}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := Load(strings.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		b, out := begin(t, w, rng.New(1))
		act, r := make([]int32, b.maxAllies), rng.New(2).Rand()
		for range min(w.Limit, 20) {
			if err := out.Check(b.spec); err != nil {
				t.Fatal(err)
			}
			env.RandomActions(b.spec, out.Avail, r, act)
			b.step(out, act...)
		}
		if b.totals[illegalActions] > 0 {
			t.Errorf("%v available actions were refused", b.totals[illegalActions])
		}
	})
}

// FuzzActions: no action makes a battle fail, before or after its end.
func FuzzActions(f *testing.F) {
	f.Add(uint64(1), []byte{0, 1, 2, 3, 4, 5, 6, 7, 200, 255})
	f.Add(uint64(2), []byte{6, 6, 6, 6, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23})
	f.Add(uint64(3), []byte{})
	worlds := []World{MMM(), Map("MMM2"), Random("zerg_5_vs_5"), CSZ()}
	worlds[1].Enemy, worlds[1].Epsilon, worlds[2].FreeAttacks, worlds[2].Miss = Anyone, 0.3, true, 0.5
	f.Fuzz(func(t *testing.T, seed uint64, actions []byte) {
		w := worlds[seed%uint64(len(worlds))]
		w.Limit = 30
		b, out := begin(t, w, rng.New(seed))
		act := make([]int32, b.maxAllies)
		for k := range 40 {
			for i := range act {
				act[i] = int32(k)
				if j := k*len(act) + i; len(actions) > 0 {
					act[i] = int32(int8(actions[j%len(actions)]))
				}
			}
			b.step(out, act...)
			if err := out.Check(b.spec); err != nil {
				t.Fatalf("%s, %s: %v", w.Name, fmt.Sprint(act), err)
			}
		}
		if !out.Over() {
			t.Errorf("not over after %d steps, want %d at most", b.steps, w.Limit)
		}
	})
}
