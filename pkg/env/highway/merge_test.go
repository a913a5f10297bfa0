package highway

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/envtest"
	"github.com/muster-marl/muster/pkg/rng"
)

// place makes an episode with these vehicles, the agents' first; there must be Density+1 of those.
func place(t *testing.T, w Merge, cars ...vehicle) (*merge, *env.Step) {
	t.Helper()
	e, err := w.New()
	if err != nil {
		t.Fatal(err)
	}
	m, out := e.(*merge), env.NewBatch(e.Spec(), 1).At(0)
	for _, v := range cars {
		m.add(v)
	}
	m.begin(out)
	return m, out
}

func car(x, y, speed float64) vehicle   { return vehicle{x: x, y: y, speed: speed} }
func human(x, y, speed float64) vehicle { return vehicle{x: x, y: y, speed: speed, human: true} }

func near1(a, b, within float64) bool { return math.Abs(a-b) <= within }

// TestRoad: where the ramp runs, from the cosine 7.25 + 3.25·cos(π(x−220)/100), and which lane is nearest.
func TestRoad(t *testing.T) {
	for _, c := range []struct {
		x, y    float64
		lane    lane
		along   float64
		across  float64
		heading float64
	}{
		{100, 1, before, 100, 1, 0},
		{100, 10, ramp, 100, -0.5, 0},
		{270, 7.25, curve, 50, 0, math.Atan(-3.25 * math.Pi / 100)},
		{220.5, 10.5, curve, 0.5, 3.25 * (1 - math.Cos(math.Pi/200)), math.Atan(-3.25 * math.Pi / 100 * math.Sin(math.Pi/200))},
		{370, 3, merging, 50, -1, 0},
		{370, 1.5, beside, 50, 1.5, 0},
		{600, 0, after, 180, 0, 0},
	} {
		l := nearest(c.x, c.y, c.heading)
		along, across := l.local(c.x, c.y)
		if l != c.lane || !near1(along, c.along, 1e-9) || !near1(across, c.across, 1e-9) || !near1(l.heading(along), c.heading, 1e-9) {
			t.Errorf("(%v, %v) is on lane %d, %v along and %v across, heading %v; want %+v", c.x, c.y, l, along, across, l.heading(along), c)
		}
	}
	if curve.next(319, 4) != merging || curve.next(319, 1) != beside || merging.next(419, 4) != after || ramp.next(0, 0) != curve {
		t.Error("lanes do not follow each other")
	}
	if !beside.reachable(350, 4) || beside.reachable(319, 4) || beside.reachable(350, 8.1) || merging.reachable(350, 0) {
		t.Error("the motorway, and only it, can be changed to, from beside it")
	}
	if a := wrap(3 * math.Pi / 2); !near1(a, -math.Pi/2, 1e-12) {
		t.Errorf("3π/2 wraps to %v", a)
	}
}

// TestSpeed: an agent that wants 30 m/s approaches it by a ninth of the difference every 1/15 s, 1/0.6/15.
func TestSpeed(t *testing.T) {
	for _, c := range []struct {
		action int32
		wanted float64
	}{{Idle, 25}, {Right, 25}, {Left, 25}, {Faster, 30}, {Slower, 20}} {
		m, out := place(t, Paper(1), car(100, 0, 25), car(0, rampY, 25))
		m.Step(env.Actions{Discrete: []int32{c.action, Idle}}, out)
		d, v, x := c.wanted-25, 25.0, 100.0
		for range 3 {
			x += v / 15
			v += d / 9
			d = c.wanted - v
		}
		if got := m.cars[0]; !near1(got.speed, v, 1e-9) || !near1(got.x, x, 1e-9) || got.y != 0 || got.wanted != c.wanted {
			t.Errorf("action %d leads to %+v, want %v m/s at %v", c.action, got, v, x)
		}
	}
	v := car(0, 0, 28)
	for _, want := range []float64{30, 30} { // 28 is nearest to 30, and there is nothing above
		if v.decide(Faster); v.wanted != want {
			t.Errorf("wants %v m/s, want %v", v.wanted, want)
		}
	}
	v.speed = 12
	if v.decide(Slower); v.wanted != 10 {
		t.Errorf("wants %v m/s at 12, want 10", v.wanted)
	}
	v.speed, v.accel = 45, 3
	if v.move(); !near1(v.speed, 45-5.0/15, 1e-9) {
		t.Errorf("45 m/s becomes %v, want 5/15 less: the limit is 40", v.speed)
	}
}

// TestBicycle: one step at 15 m/s with the wheel at δ, tan δ = 2, so that the slip angle is 45°.
func TestBicycle(t *testing.T) {
	v := vehicle{speed: 15, steer: math.Atan(2), accel: 3}
	v.move()
	s := math.Sqrt2 / 2
	if !near1(v.x, s, 1e-12) || !near1(v.y, s, 1e-12) || !near1(v.heading, 15*s/2.5/15, 1e-12) || !near1(v.speed, 15.2, 1e-12) {
		t.Errorf("the bicycle is at (%v, %v), heading %v with %v m/s", v.x, v.y, v.heading, v.speed)
	}
}

// TestSteering: 1 m to the right of the lane's middle at 20 m/s: a speed of −5/3 across, a heading of asin(−1/12), a
// rate five times that, an angle of asin(2.5·rate/20).
func TestSteering(t *testing.T) {
	v := vehicle{x: 100, y: 1, speed: 20}
	want := math.Asin(2.5 / 20 * 5 * math.Asin(-1.0/12))
	if got := v.steering(); !near1(got, want, 1e-12) {
		t.Errorf("steers by %v, want %v", got, want)
	}
	v.speed = 0
	if got := v.steering(); got != -mostSteer { // limited to 60°
		t.Errorf("steers by %v standing still, want %v", got, -mostSteer)
	}
}

// TestHumans: accelerations of the intelligent driver model by hand.
func TestHumans(t *testing.T) {
	for _, c := range []struct {
		speed, front, ahead float64 // of the vehicle in front; its distance
		want                float64 // both want 25 m/s
	}{
		{0, 0, 0, 3},  // free road
		{25, 0, 0, 0}, // at the speed that it wants
		{12.5, 0, 0, 3 * (1 - 1.0/16)},
		{25, 25, 95, -3 * 0.25}, // wants a gap of 10 + 37.5
		{25, 20, 95, -3 * math.Pow((47.5+125/(2*math.Sqrt(15)))/95, 2)}, // and is closing in
		{10, 20, 30, 3*(1-math.Pow(0.4, 4)) - 3*math.Pow((25-100/(2*math.Sqrt(15)))/30, 2)},
	} {
		v, u := human(100, 0, c.speed), human(100+c.ahead, 0, c.front)
		v.wanted = 25
		front := &u
		if c.ahead == 0 {
			front = nil
		}
		if got := follows(&v, front); !near1(got, c.want, 1e-9) {
			t.Errorf("%+v: accelerates by %v", c, got)
		}
	}
	m, _ := place(t, Paper(1), car(0, rampY, 25), car(30, rampY, 25), human(100, 0, 25), human(110, 0, 25))
	m.drive(&m.cars[2])
	if m.cars[2].accel != -mostAccel || m.cars[2].steer != 0 {
		t.Errorf("10 m behind another: %+v, want hard braking", m.cars[2])
	}
}

// TestLaneChange: a human driver leaves the merging lane for the motorway when it thinks of it, not where that would
// force somebody to brake hard, nor where it is no gain.
func TestLaneChange(t *testing.T) {
	for _, c := range []struct {
		name  string
		timer float64
		cars  []vehicle
		want  lane
	}{
		{"towards the obstacle", 1.01, nil, beside},
		{"too early", 0.99, nil, merging},
		{"somebody close behind", 1.01, []vehicle{human(362, 0, 25)}, merging},
		{"somebody far behind", 1.01, []vehicle{human(320, 0, 25)}, beside},
		{"somebody close ahead", 1.01, []vehicle{human(378, 0, 5)}, merging},
	} {
		m, _ := place(t, Paper(1), append([]vehicle{car(0, rampY, 25), car(0, 0, 25), human(370, mergeY, 25)}, c.cars...)...)
		v := &m.cars[2]
		v.timer = c.timer
		if m.think(v); v.target != c.want {
			t.Errorf("%s: steers to lane %d, want %d", c.name, v.target, c.want)
		}
	}
	m, _ := place(t, Paper(1), car(0, rampY, 25), car(390, mergeY, 25), human(370, mergeY, 25)) // both change, it is behind
	m.cars[1].target, m.cars[2].target = beside, beside
	if m.think(&m.cars[2]); m.cars[2].target != merging {
		t.Error("a change behind another one goes on, want it given up")
	}
}

// TestCollisions: boxes of 4.5 × 1.8 m, and the obstacle's 1.8 × 1.8 m.
func TestCollisions(t *testing.T) {
	for _, c := range []struct {
		a, b vehicle
		want bool
	}{
		{car(0, 0, 0), car(4.4, 0, 0), true},
		{car(0, 0, 0), car(4.6, 0, 0), false},
		{car(0, 0, 0), car(0, 1.7, 0), true},
		{car(0, 0, 0), car(0, 1.9, 0), false},
		{car(0, 0, 0), vehicle{x: 3, heading: math.Pi / 2}, true},
		{car(0, 0, 0), vehicle{x: 3.3, heading: math.Pi / 2}, false},
		{car(0, 0, 0), vehicle{heading: math.Pi / 2}, true}, // crossed, no corner in the other
		{car(0, 0, 0), vehicle{x: 3.1, fixed: true}, true},
		{car(0, 0, 0), vehicle{x: 3.2, fixed: true}, false},
	} {
		if got := c.a.collides(&c.b); got != c.want || c.b.collides(&c.a) != c.want {
			t.Errorf("%+v and %+v collide: %v, want %v", c.a, c.b, got, c.want)
		}
	}
	a, b := car(0, 0, 20), car(4, 0, -10)
	if a.crash(&b); !a.crashed || !b.crashed || a.speed != -10 || b.speed != -10 {
		t.Errorf("after a crash: %+v and %+v, want both at −10 m/s", a, b)
	}
	if a.move(); !near1(a.speed, -10+10.0/15, 1e-12) {
		t.Errorf("a crashed vehicle has %v m/s after a step, want it to brake", a.speed)
	}
}

// TestRewards by hand.
func TestRewards(t *testing.T) {
	far := car(0, rampY, 20)
	for _, c := range []struct {
		cars []vehicle // the first is paid
		want float64
	}{
		{[]vehicle{car(100, 0, 25), far}, 0.75},
		{[]vehicle{car(100, 0, 8), far}, 0},
		{[]vehicle{car(100, 0, 35), far}, 1},
		{[]vehicle{car(400, mergeY, 20), far}, 0.5 - 4*math.Exp(-0.4)},
		{[]vehicle{car(100, 0, 25), car(115, 0, 25)}, 0.75 + 4*math.Log(15/30.0)},
		{[]vehicle{car(315, 0, 25), car(330, 0, 25)}, 0.75 + 4*math.Log(15/30.0)},    // on the next lane
		{[]vehicle{car(415, mergeY, 20), car(425, 0, 20)}, 0.5 - 4*math.Exp(-0.025)}, // not from the merging lane
		{[]vehicle{car(100, 0, 25), car(90, 0, 25)}, 0.75},
		{[]vehicle{{x: 100, speed: 25, crashed: true}, far}, 0.75 - 200},
		{[]vehicle{car(100, 0, 0), car(105, 0, 25)}, 0},
	} {
		m, _ := place(t, Paper(1), c.cars...)
		if got := m.earns(&m.cars[0]); !near1(got, c.want, 1e-9) {
			t.Errorf("%+v earns %v, want %v", c.cars[0], got, c.want)
		}
	}
}

// TestSharing: three agents and a human driver. Agents 0 and 1 are next to each other on the motorway, agent 1 beside
// the curve, from where the vehicles of the ramp count, too. Agent 2 is alone on the straight ramp; on the curve it
// has the motorway beside it, agent 1 behind it and the human driver, who earns nothing, before it.
func TestSharing(t *testing.T) {
	w := Paper(2)
	for _, c := range []struct {
		x    float64 // of agent 2, on the ramp
		want [3]float64
	}{
		{100, [3]float64{1.5, 13.0 / 3, 10}},
		{250, [3]float64{1.5, 13.0 / 3, 6}},
	} {
		y := rampY
		if c.x > rampEnd {
			y = middleY + amplitude*math.Cos(wave*(c.x-rampEnd))
		}
		m, out := place(t, w, car(200, 0, 20), car(240, 0, 20), car(c.x, y, 20), human(260, 0, 20))
		for i, r := range []float64{1, 2, 10} {
			m.cars[i].local = r
		}
		for i, want := range c.want {
			if got := m.region(&m.cars[i]); !near1(got, want, 1e-12) {
				t.Errorf("agent 2 at %v: agent %d is paid %v, want %v", c.x, i, got, want)
			}
		}
		m.w.Global = true
		m.pay(out.Reward)
		if got := (m.cars[0].local + m.cars[1].local + m.cars[2].local) / 3; !near1(float64(out.Reward[1]), got, 1e-6) || out.Reward[0] != out.Reward[2] {
			t.Errorf("everybody is paid %v, want %v", out.Reward, got)
		}
	}
}

// TestObservation: the own row, then others by distance along the lane, relative; nobody beyond 180 m.
func TestObservation(t *testing.T) {
	m, out := place(t, Paper(1), car(150, 0, 22.5), car(140, rampY, 27), human(170, 0, 22.5), human(340, 0, 25))
	want := []float32{
		1, 1, 0, 0.5, 0,
		1, -10.0 / 150, 10.5 / 12, 0.1, 0,
		1, 20.0 / 150, 0, 0, 0,
		0, 0, 0, 0, 0,
		0, 0, 0, 0, 0,
		1, 0,
	}
	if got := out.Obs[:27]; !close(got, want) || out.Obs[27+26] != 1 || !slices.Equal(out.State, out.Obs) {
		t.Errorf("observes %v, want %v", got, want)
	}
	if s := m.Spec(); s.Agents != 2 || s.ObsDim != 27 || s.StateDim != 54 {
		t.Errorf("spec %+v", s)
	}
}

func close(a, b []float32) bool {
	for i := range a {
		if !near1(float64(a[i]), float64(b[i]), 1e-6) {
			return false
		}
	}
	return len(a) == len(b)
}

// TestMerging: from the ramp, an agent that does nothing follows the curve and the merging lane into the obstacle; one
// that changes to the left gets by and earns at most 1 per decision; its way keeps to the lanes.
func TestMerging(t *testing.T) {
	for _, merges := range []bool{false, true} {
		m, out := place(t, Paper(1), car(100, rampY, 25), car(10, 0, 25))
		var lanes []lane
		for !out.Over() {
			act := []int32{Idle, Slower}
			if merges && m.cars[0].lane == merging {
				act[0] = Left
			}
			m.Step(env.Actions{Discrete: act}, out)
			v := &m.cars[0]
			if lanes == nil || lanes[len(lanes)-1] != v.lane {
				lanes = append(lanes, v.lane)
			}
			if _, across := v.lane.local(v.x, v.y); math.Abs(across) > 2 || out.Reward[0] > 1 {
				t.Errorf("at (%v, %v) %v beside the middle of lane %d, paid %v", v.x, v.y, across, v.lane, out.Reward[0])
			}
		}
		want, steps := "[4 5 2]", 0
		if merges {
			want, steps = "[4 5 2 1 3]", 100
		}
		if fmt.Sprint(lanes) != want || out.Terminated == merges || out.Truncated != merges || out.Outcome != env.Ended || merges && m.t != steps {
			t.Errorf("merges %v: drives on lanes %v, want %s; over after %d: %+v", merges, lanes, want, m.t, *out)
		}
		if merges && (out.Metrics[0] != 0 || out.Metrics[1] > 25 || out.Metrics[1] < 15) || !merges && (out.Metrics[0] != 1 || out.Reward[0] > -90) {
			t.Errorf("merges %v: metrics %v, last reward %v", merges, out.Metrics, out.Reward)
		}
	}
}

// TestStarts: how many there are, on different points, with what speeds.
func TestStarts(t *testing.T) {
	for density := 1; density <= 3; density++ {
		e, err := Paper(density).New()
		if err != nil {
			t.Fatal(err)
		}
		m, out, counts := e.(*merge), env.NewBatch(e.Spec(), 1).At(0), map[int]int{}
		for episode := range int64(300) {
			m.Reset(env.Episode{Rand: rng.New(2).Split("env", episode).Rand()}, out)
			counts[m.n-m.agents]++
			main, humans := 0, 0
			for i, v := range m.cars[:m.n] {
				if v.speed < 25 || v.speed > 27 || v.human != (i >= m.agents) || v.lane == before && v.y != 0 || v.lane == ramp && v.y != rampY {
					t.Fatalf("a vehicle begins as %+v", v)
				}
				for _, u := range m.cars[:i] {
					if u.lane == v.lane && math.Abs(u.x-v.x) < 37 {
						t.Fatalf("two vehicles begin at %v and %v", u.x, v.x)
					}
				}
				if v.lane == before && v.human {
					humans++
				} else if v.lane == before {
					main++
				}
			}
			if main != (density+1)/2 || humans != (m.n-m.agents)/2 {
				t.Fatalf("%d agents and %d others begin on the motorway, of %d and %d", main, humans, m.agents, m.n-m.agents)
			}
		}
		for k := range 3 { // 100 ± 5 standard deviations
			if c := counts[density+k]; c < 59 || c > 141 || len(counts) != 3 {
				t.Errorf("density %d: numbers of human drivers %v, want %d to %d alike", density, counts, density, density+2)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for want, change := range map[string]func(*Merge){
		"highway: Density is 4, want 1 to 3":        func(w *Merge) { w.Density = 4 },
		"highway: Density is 0, want 1 to 3":        func(w *Merge) { w.Density = 0 },
		"highway: Steps is 0, want 1 to 10000":      func(w *Merge) { w.Steps = 0 },
		"highway: Crash is -1, want 0 to 10000":     func(w *Merge) { w.Crash = -1 },
		"highway: Speed is NaN, want 0 to 10000":    func(w *Merge) { w.Speed = math.NaN() },
		"highway: Merging is +Inf, want 0 to 10000": func(w *Merge) { w.Merging = math.Inf(1) },
		"highway: Headway is -4, want 0 to 10000":   func(w *Merge) { w.Headway = -4 },
		"highway: Time is 0, want 0.01 to 10000":    func(w *Merge) { w.Time = 0 },
	} {
		w := Paper(1)
		change(&w)
		if _, err := w.New(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestContract(t *testing.T) {
	for density := 1; density <= 3; density++ {
		envtest.Check(t, Paper(density))
	}
	w := Paper(3)
	w.Global = true
	envtest.Check(t, w)
}

// TestHumansSurvive: where agents keep their lanes at a moderate speed far behind everybody, human drivers get by
// themselves in most episodes, which says that their models work together.
func TestHumansSurvive(t *testing.T) {
	crashes := 0
	for episode := range uint64(100) {
		r := rand.New(rand.NewPCG(episode, 1))
		m, out := place(t, Paper(1), car(-60, 0, 25), car(-60, rampY, 25))
		for i := range 3 {
			m.place(i%2, []float64{130, 125, 210}[i], r, true)
		}
		m.begin(out)
		for range 60 {
			m.Step(env.Actions{Discrete: []int32{Slower, Slower}}, out)
		}
		for _, v := range m.cars[2:m.n] {
			if v.crashed {
				crashes++
				break
			}
			if v.lane == ramp || v.lane == curve {
				t.Errorf("a human driver is at (%v, %v) after 12 s", v.x, v.y)
			}
		}
	}
	t.Logf("human drivers crash in %d of 100 episodes", crashes)
	if crashes > 50 {
		t.Errorf("human drivers crash in %d of 100 episodes", crashes)
	}
}

func TestView(t *testing.T) {
	m, _ := place(t, Paper(1), car(100, 0, 25), car(250, 8, 25), human(20, 0, 25))
	m.cars[0].crashed = true
	c := new(env.Canvas)
	m.View(c)
	forms := map[env.Form]int{}
	for _, s := range c.Shapes {
		forms[s.Form]++
	}
	if forms[env.Label] != 2 || forms[env.Ring] != 1 || !strings.HasPrefix(c.Note, "step 0 of 100: agents drive 25.0 m/s, crash") {
		t.Errorf("drawn are %v, %q", forms, c.Note)
	}
}

func BenchmarkStep(b *testing.B) {
	for density := 1; density <= 3; density++ {
		b.Run(fmt.Sprintf("highway/merge-%d", density), func(b *testing.B) { envtest.BenchStep(b, Paper(density)) })
	}
}
