package house

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced piece of a page.
type block struct {
	file string // that the sentence above names; "" if none
	kind string // "go", "text", …
	text string
}

var named = regexp.MustCompile("[Ff]ile `([\\w./-]+)`")

// blocks reads the fenced pieces of a page.
func blocks(t *testing.T, page string) (list []block, text string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	above, open, ended := "", false, false // the paragraph above, within a block, after an empty line
	for line := range strings.Lines(string(data)) {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !open:
			b := block{kind: strings.TrimSpace(kind)}
			if f := named.FindStringSubmatch(above); f != nil {
				b.file = f[1]
			}
			list, open = append(list, b), true
		case fence:
			open, above = false, ""
		case open:
			list[len(list)-1].text += line
		case strings.TrimSpace(line) == "":
			ended = true
		case ended:
			above, ended = line, false
		default:
			above += line
		}
	}
	return list, string(data)
}

// module is a user's module outside of the repository, with no way to a network.
type module struct{ dir string }

func newModule(t *testing.T) module {
	t.Helper()
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	// The module below reads go.mod files of old modules that the repository's own, pruned graph leaves out: fetched here, once.
	if out, err := exec.Command("go", "mod", "graph").CombinedOutput(); err != nil {
		t.Fatalf("go mod graph: %v\n%s", err, out)
	}
	m := module{t.TempDir()}
	m.write(t, "go.mod", fmt.Sprintf("module example.com/robots\n\ngo 1.26.5\n\nrequire github.com/muster-marl/muster v0.0.0\n\nreplace github.com/muster-marl/muster => %q\n", repository))
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, "go.sum", string(sums))
	return m
}

func (m module) write(t *testing.T, file, text string) {
	t.Helper()
	path := filepath.Join(m.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// do runs a go command in the module, on the pure-Go backend, and returns all that it prints.
func (m module) do(args ...string) (string, error) {
	c := exec.Command("go", args...)
	c.Dir = m.dir
	c.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOPROXY=off", "GOWORK=off",
		"GOMLX_BACKEND=go:ops_sequential", "MUSTER_RUNS="+filepath.Join(m.dir, "runs"))
	out, err := c.CombinedOutput()
	return string(out), err
}

func (m module) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.do(args...)
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// add writes the files of a page. Cells, which begin with %%, become programs, with the page's imports.
func (m module) add(t *testing.T, page string) {
	t.Helper()
	list, _ := blocks(t, page)
	imports, cells := "", 0
	for i, b := range list {
		switch {
		case b.kind != "go" && b.file == "":
		case b.file != "":
			m.write(t, b.file, b.text)
		case strings.HasPrefix(b.text, "import ("):
			imports = b.text
		case strings.HasPrefix(b.text, "%%\n") && page == "README.md": // a taste, without its imports
		case strings.HasPrefix(b.text, "%%\n"):
			cells++
			name := strings.TrimSuffix(filepath.Base(page), ".md")
			m.write(t, fmt.Sprintf("%s%d/main.go", name, i), "package main\n\n"+imports+"\nfunc main() {\n"+b.text[3:]+"}\n")
			if n := strings.Count(b.text, "\n") - 1; n > 10 {
				t.Errorf("%s: a cell of %d lines, at most 10", page, n)
			}
		case strings.HasPrefix(b.text, "package "):
			m.write(t, filepath.Base(page)+"/main.go", b.text)
		default:
			t.Errorf("%s: a block of Go that is neither a file, nor a cell, nor a program, and so not tested:\n%s", page, b.text)
		}
	}
	if cells == 0 && strings.HasPrefix(page, "docs/") && page != "docs/clusters.md" { // which shows a program
		t.Errorf("%s: no cells found", page)
	}
}

// lines is the length of a file of the module.
func (m module) lines(t *testing.T, file string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

// variant writes a copy of a file with parts replaced: old, new, old, new, …
func (m module) variant(t *testing.T, from, to string, parts ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, from))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(parts); i += 2 {
		if !strings.Contains(text, parts[i]) {
			t.Fatalf("%s: no %q to replace", from, parts[i])
		}
		text = strings.ReplaceAll(text, parts[i], parts[i+1])
	}
	m.write(t, to, text)
}

// The mistakes in the table of docs/own-world.md: what is replaced in meet.go (and its test), and what is said then.
var worldMistakes = []struct {
	message string // without it, any message
	parts   []string
}{
	{"sizes: env: meet/4 leaves observation 0 of agent 0 unwritten or not finite (NaN); the spec has 32 values", []string{"\tclear(out.Obs)\n", ""}},
	{"sizes: env: meet/4 leaves agent 0 without an available action in head 0, want at least 1 of 5",
		[]string{"copy(out.Avail", "if w.time > 0 {\ncontinue\n}\ncopy(out.Avail"}},
	{"sizes: env: meet/4 has images of 32 values in observations of 16", []string{"ObsDim: 2 * n * n", "ObsDim: n * n"}},
	{"sizes: panic: runtime error: index out of range [32] with length 32",
		[]string{"cell >= n, cell < n*n-n, cell%n > 0, cell%n < n-1", "true, true, true, true"}},
	{"same key, same bytes: episode 0 again, in a fresh environment, over other left-over values: step 0: observation",
		[]string{"\"fmt\"\n", "\"fmt\"\n\"math/rand/v2\"\n", "ep.Rand.IntN", "rand.IntN"}},
	{"moments: episode 2 is not over after 8 steps, want at most 8", []string{", w.time = ep.Rand.IntN(n), 0", " = ep.Rand.IntN(n)"}},
	{"moments: episode 0 is not over after 8 steps, want at most 8", []string{"w.time == 2*w.Side", "w.time == 3*w.Side"}},
	{`has outcome "running" where terminated is true and truncated false`, []string{"out.Terminated, out.Outcome = 1, true, env.Win", "out.Terminated = 1, true"}},
	{"sizes: env: meet/4 pays agent 0 a reward of NaN, want a finite number", []string{"reward := float32(-0.1)", "zero := float32(0)\nreward := zero / zero"}},
	{"allocations: one Reset allocates 1 times, want 0", []string{"clear(out.Obs)", "copy(out.Obs, make([]float32, len(out.Obs)))"}},
	{"", []string{"func (w World) New", "func (w *World) New", "return &w, nil", "return w, nil"}},
}

// The same for docs/own-method.md and sarsa.go, trained on the climbing game.
var methodMistakes = []struct {
	message string
	parts   []string
}{
	{"value: matrix/climb has 0 images in an observation, want 1 for a convolutional network",
		[]string{`m.Name, m.Agent = "expected-sarsa", value.FeedForward(dense)`, "m.Name = \"expected-sarsa\"\n_ = dense"}},
	{"dimension of axis #2 doesn't match and cannot be broadcast",
		[]string{"return TransposeAllAxes(Reshape(q, d[2], d[0], d[1], in.Spec.Choices()), 1, 2, 0, 3)", "return Reshape(q, d[2], d[0], d[1], in.Spec.Choices())"}},
	{"nn: Dense takes [net, row, in], got (Float32)[2, 1, 32, 1]",
		[]string{"Reshape(TransposeAllAxes(in.Obs, 2, 0, 1, 3), d[2], d[0]*d[1], d[3])", "TransposeAllAxes(in.Obs, 2, 0, 1, 3)"}},
	{`sub-scope "hidden" already visited from "/online/agent"`, []string{`s.In("q")`, `s.In("hidden")`}},
	{"expected-sarsa: rewards (Float32)[1, 32, 2] and targets (Float32)[1, 32, 2, 3], want [time, batch, agent] or [time, batch, 1]",
		[]string{"return Add(MulScalar(value.DoubleQ(online, target, avail), 1-epsilon), MulScalar(mean, epsilon))", "_ = mean\nreturn MulScalar(target, 1-epsilon)"}},
}

// TestDocs compiles and runs what the pages tell users to write, in a module of its own.
func TestDocs(t *testing.T) {
	if testing.Short() {
		t.Skip("trains what the pages train")
	}
	m := newModule(t)
	for _, page := range []string{"README.md", "docs/own-world.md", "docs/own-method.md", "docs/reporting.md", "docs/gallery.md", "docs/clusters.md"} {
		m.add(t, page)
	}
	m.variant(t, "climb/main.go", "rate/main.go", "LR: 1e-3", "LR: 2e-3")
	m.variant(t, "climb/main.go", "epsilon/main.go", "sarsa.New(0.1", "sarsa.New(0.2")
	m.variant(t, "main.go", "both/main.go", "\tnet := value.Net{Conv: [2]int{4, 8}, Own: [2]int{32, 32}}\n", "", "value.IndependentDQN(net, t)", "sarsa.New(0.1, t)",
		"\"example.com/robots/meet\"\n", "\"example.com/robots/meet\"\n\"example.com/robots/sarsa\"\n")
	m.must(t, "vet", "./...")
	for file, most := range map[string]int{"meet/meet.go": 60, "sarsa/sarsa.go": 30} {
		if n := m.lines(t, file); n > most {
			t.Errorf("%s has %d lines, at most %d", file, n, most)
		}
	}

	t.Run("world", func(t *testing.T) {
		_, text := blocks(t, "docs/own-world.md")
		for i, c := range worldMistakes {
			dir := fmt.Sprintf("mistake%d", i)
			m.variant(t, "meet/meet.go", dir+"/meet.go", c.parts...)
			m.variant(t, "meet/meet_test.go", dir+"/meet_test.go", "World{", "&World{") // &: also where New wants it
		}
		m.must(t, "test", "-vet=off", "./meet")
		all, _ := m.do("test", "-vet=off", "./mistake...")
		for i, c := range worldMistakes {
			said := ""
			for _, part := range strings.Split(all, "--- FAIL") {
				if strings.Contains(part, fmt.Sprintf("example.com/robots/mistake%d\t", i)) {
					said = part
				}
			}
			if !strings.Contains(said, "envtest: "+c.message) && !(strings.HasPrefix(c.message, "has") && strings.Contains(said, c.message)) {
				t.Errorf("mistake %d %q says %q, want %q", i, c.parts, cmp.Or(said, all), c.message)
			}
			if !strings.Contains(text, c.message) {
				t.Errorf("docs/own-world.md does not show the message %q", c.message)
			}
		}
		compare(t, "docs/own-world.md", m.must(t, "run", "."))
	})
	t.Run("method", func(t *testing.T) {
		_, text := blocks(t, "docs/own-method.md")
		compare(t, "docs/own-method.md", m.must(t, "run", "./climb"))
		for _, c := range []struct{ dir, message string }{
			{"./rate", "Method.Train.LR is 0.001 there and 0.002 here; choose another Dir or remove it"},
			{"./epsilon", "the update program differs, so a function or constant of the method has changed; choose another Dir or remove it"},
		} {
			if out, err := m.do("run", c.dir); err == nil || !strings.Contains(out, c.message) || !strings.Contains(text, c.message) {
				t.Errorf("%s says %q (%v), want an error with %q, in the page, too", c.dir, out, err, c.message)
			}
		}
		imports, list := "", ""
		for i, c := range methodMistakes {
			m.variant(t, "sarsa/sarsa.go", fmt.Sprintf("wrong%d/sarsa.go", i), c.parts...)
			imports += fmt.Sprintf("wrong%d \"example.com/robots/wrong%d\"\n", i, i)
			list += fmt.Sprintf("wrong%d.New(0.1, t),", i)
		}
		m.variant(t, "climb/main.go", "wrong/main.go", "\t\"example.com/robots/sarsa\"\n", imports,
			"for seed := range uint64(3) {", "for _, method := range []value.System{"+list+"} {",
			"sarsa.New(0.1, t), Seed: seed", "method, Dir: \"runs/wrong\"", "log.Fatal(err)", "log.Print(err)\ncontinue", "seed,", "0,")
		said := strings.Split(m.must(t, "run", "./wrong"), "\n")
		for i, c := range methodMistakes {
			if !strings.Contains(said[min(i, len(said)-1)], c.message) || !strings.Contains(text, c.message) {
				t.Errorf("mistake %d %q says %q, want %q, in the page, too", i, c.parts, said, c.message)
			}
		}
		if out := m.must(t, "run", "./both"); !strings.HasPrefix(last(out), "8000 steps: 100 %") {
			t.Errorf("expected SARSA on the robots ends with %q, want 100 %% as in the page", last(out))
		}
	})
}

func last(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

var numbers = regexp.MustCompile(`[\d.]+`)

// compare holds what a page's program prints against what the page says it prints. Numbers depend on the machine: the
// lines must be equal without them, those of the last line nearly so.
func compare(t *testing.T, page, got string) {
	t.Helper()
	list, _ := blocks(t, page)
	want := ""
	for _, b := range list {
		if b.kind == "text" && !strings.HasPrefix(b.text, "!") {
			want = b.text
		}
	}
	plain := func(s string) string { return strings.Join(strings.Fields(numbers.ReplaceAllString(s, "0")), " ") }
	if want == "" || plain(got) != plain(want) {
		t.Errorf("%s: its program prints\n%s\nand the page says\n%s", page, got, want)
		return
	}
	a, b := numbers.FindAllString(last(got), -1), numbers.FindAllString(last(want), -1)
	for i := range b {
		var x, y float64
		fmt.Sscan(a[i], &x)
		fmt.Sscan(b[i], &y)
		if x < 0.6*y || x > 1.6*y {
			t.Errorf("%s: its program ends with %q, and the page says %q", page, last(got), last(want))
		}
	}
}
