package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// put writes a run directory as training leaves it.
func put(t testing.TB, method, world string, seed uint64, evals, metrics []byte) string {
	t.Helper()
	dir := Path(method, world, seed)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"format":1,"method":%q,"world":%q,"seed":%d,"goal":1000,"identity":{"Eval":{"Every":16000},"Method":{"Name":%q,"Train":{"Batch":32,"Buffer":20000,"Envs":4}}}}`, method, world, seed, method)
	for name, data := range map[string][]byte{"config.json": []byte(config), "eval.jsonl": evals, "metrics.jsonl": metrics} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestNoMatchNamesTheNearest(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	wantError(t, All("qmix/battle/*/*").err, "no runs match qmix/battle/*/* below "+Root()+": run the training cell first")
	for _, at := range [][2]string{{"qmix", "battle/2s3z"}, {"vdn", "battle/2s3z"}, {"vdn", "battle/3m"}, {"dqn", "takeout/mini-v4"}, {"qmix", "battle/8m"}} {
		put(t, at[0], at[1], 0, nil, nil)
		put(t, at[0], at[1], 1, nil, nil)
	}
	for pattern, want := range map[string]string{
		"qmx/battle/2s3z/*":  "the nearest that exist: qmix/battle/2s3z/*, ",
		"*/battle/3s/*":      "the nearest that exist: vdn/battle/3m/*, ",
		"dqn/takeout-mini/*": "the nearest that exist: ",
		"dqn/takeout/mini/*": "the nearest that exist: dqn/takeout/mini-v4/*, ",
		"qmix/battle/2s3z/7": "the nearest that exist: qmix/battle/2s3z/*, ",
	} {
		err := All(pattern).err
		wantError(t, err, "no runs match "+pattern, want)
		if n := strings.Count(err.Error(), "/*"); n > 6 {
			t.Errorf("%d runs named, want three: %v", n, err)
		}
	}
	wantError(t, All(filepath.Join(t.TempDir(), "none", "*")).err, "no runs match", "run the training cell first")
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"kitten", "sitting", 3}, {"qmix", "qmix", 0}, {"vdn", "vnd", 2}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestHalfWrittenRuns(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	whole := `{"steps":10,"stream":"final","episodes":1,"returns":[3]}` + "\n"
	put(t, "a", "w", 0, []byte(`{"steps":0,"stream":"eval","episodes":1,"returns":[1]}`+"\n"+whole+`{"steps":20,"stream":"fin`), []byte(`{"steps":1,"loss":2}`+"\n"+`{"steps":2,"lo`))
	if err := os.MkdirAll(Path("a", "w", 1), 0o755); err != nil { // killed before its config was there
		t.Fatal(err)
	}
	list, err := All("a/w/*").List()
	if err != nil || len(list) != 1 {
		t.Fatalf("%d runs (%v), want the one that has begun", len(list), err)
	}
	if e, err := list[0].Final(""); err != nil || e.Returns[0] != 3 {
		t.Errorf("final evaluation %v (%v), want that before the torn line", e, err)
	}
	if p, err := list[0].Metrics("loss"); err != nil || len(p) != 1 {
		t.Errorf("loss %v (%v), want the one whole line", p, err)
	}
	dir := put(t, "b", "w", 0, []byte("{\"steps\":0}\n{\"stream\":\"final\",]\n"+whole[:20]+"\n"), nil)
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Final("")
	wantError(t, err, "eval.jsonl line 2")
	_, err = b.Evaluations()
	wantError(t, err, "eval.jsonl line 2")
	for config, want := range map[string]string{"": "config.json", `{"format":1,"meth`: "config.json", `{"format":99}`: "has format 99"} {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		err := All("b/w/*").err
		wantError(t, err, want)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("several lines: %v", err)
		}
	}
	empty := put(t, "c", "w", 0, nil, nil)
	c, _ := Open(empty)
	_, err = c.Final("")
	wantError(t, err, "has no final evaluation")
}

// TestFinals: of each cell the last, in the order in which they were made; a run that went on has judged its cells twice.
func TestFinals(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	text := ""
	for _, e := range []struct {
		stream, cell string
		steps        int
	}{{"final", "", 10}, {"final", "6", 10}, {"eval", "6", 20}, {"final", "", 20}, {"final", "8", 20}, {"final", "6", 20}, {"eval", "final", 20}} {
		text += fmt.Sprintf(`{"steps":%d,"stream":%q,"cell":%q,"episodes":1,"returns":[3]}`+"\n", e.steps, e.stream, e.cell)
	}
	r, err := Open(put(t, "a", "w", 0, []byte(text+`{"steps":30,"stream":"final","cell":"7"`), nil))
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Finals()
	got := ""
	for _, e := range list {
		got += fmt.Sprintf("%s:%d ", e.Cell, e.Steps)
	}
	if err != nil || got != ":20 8:20 6:20 " {
		t.Errorf("finals %q (%v)", got, err)
	}
	broken, err := Open(put(t, "b", "w", 0, []byte("{\"stream\":\"final\",]\n"), nil))
	if err != nil {
		t.Fatal(err)
	}
	_, err = broken.Finals()
	wantError(t, err, "eval.jsonl line 1")
}

func TestGivenAndJoined(t *testing.T) {
	t.Setenv("MUSTER_RUNS", t.TempDir())
	r, err := Given("mappo", "other/task", 3, []Evaluation{
		{Stream: "eval", Steps: 5, Metrics: map[string][]float64{"win_rate": {0.5}}},
		{Stream: "final", Steps: 9, Metrics: map[string][]float64{"win_rate": {0.25}}}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, "a", "w", 0, nil, nil)
	list, err := Join(Of(r), All("a/*/*")).List()
	if err != nil || len(list) != 2 || list[0].Seed != 3 || list[0].Goal != 9 {
		t.Fatalf("%v (%v), want two runs", list, err)
	}
	if p, err := r.Metrics("win_rate"); err != nil || len(p) != 1 || p[0].Value != 0.5 {
		t.Errorf("win rate %v (%v), want 0.5", p, err)
	}
	if e, err := r.Final(""); err != nil || e.Values("win_rate")[0] != 0.25 {
		t.Errorf("final %v (%v), want 0.25", e, err)
	}
	if list, err := r.Finals(); err != nil || len(list) != 1 || list[0].Steps != 9 {
		t.Errorf("finals %v (%v), want one", list, err)
	}
	_, err = r.Metrics("loss")
	wantError(t, err, `has no metric "loss"; it has win_rate`)
	if _, err := Join(Of(r), All("none/*"), Of(r)).List(); err == nil {
		t.Error("joined runs have lost an error")
	}
	if _, err := Given("a", "w", 0, nil); err == nil {
		t.Error("a run of nothing")
	}
}

// BenchmarkOpen opens 1,000 run directories of 400 evaluations and 10,000 lines of metrics each (their files are shared: what
// counts is what is read), and reads the final evaluation of each, as a table does.
func BenchmarkOpen(b *testing.B) {
	b.Setenv("MUSTER_RUNS", b.TempDir())
	var evals, metrics bytes.Buffer
	for i := range 401 {
		stream := "eval"
		if i == 400 {
			stream = "final"
		}
		fmt.Fprintf(&evals, `{"steps":%d,"updates":%d,"seconds":%d,"stream":%q,"cell":"","world":"w","episodes":20,"outcomes":{"win":11,"loss":9},"returns":[%s1],"lengths":[%s9],"metrics":{"delivered":[%s3]}}`+"\n",
			1000*i, i, i, stream, strings.Repeat("12.345678,", 19), strings.Repeat("100,", 19), strings.Repeat("7,", 19))
	}
	for i := range 10_000 {
		fmt.Fprintf(&metrics, `{"steps":%d,"updates":%d,"seconds":%d,"loss":0.123456,"td_error":0.0123,"grad_norm":4.5}`+"\n", 100*i, i, i)
	}
	first := put(b, "method0", "w", 0, evals.Bytes(), metrics.Bytes())
	for i := range 1000 {
		if i == 0 {
			continue
		}
		dir := put(b, fmt.Sprintf("method%d", i/20), "w", uint64(i%20), nil, nil)
		for _, name := range []string{"eval.jsonl", "metrics.jsonl"} {
			os.Remove(filepath.Join(dir, name))
			if err := os.Link(filepath.Join(first, name), filepath.Join(dir, name)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("1000", func(b *testing.B) {
		for b.Loop() {
			if list, err := All("*/w/*").List(); err != nil || len(list) != 1000 {
				b.Fatal(len(list), err)
			}
		}
	})
	b.Run("1000/final", func(b *testing.B) {
		for b.Loop() {
			list, err := All("*/w/*").List()
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range list {
				if _, err := r.Final(""); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("1000/evaluations", func(b *testing.B) {
		for b.Loop() {
			list, err := All("*/w/*").List()
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range list {
				if all, err := r.Evaluations(); err != nil || len(all) != 401 {
					b.Fatal(len(all), err)
				}
			}
		}
	})
}

// What the fast reader accepts it must read as encoding/json does, and what either refuses both must.
func checkDecode(t *testing.T, line string) {
	t.Helper()
	var got, want Evaluation
	err, wantErr := got.decode([]byte(line)), json.Unmarshal([]byte(line), &want)
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%s: error %v, encoding/json says %v", line, err, wantErr)
	} else if err == nil && !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%+v, encoding/json reads\n%+v", line, got, want)
	}
}

var decodeLines = []string{
	`{}`, ` { "steps" : 12 , "returns" : [ 1 , -2.5e-3 , 0 ] } `, `{"steps":1.5}`, `{"steps":1e3}`, `{"steps":01}`, `{"seconds":.5}`, `{"seconds":1.}`,
	`{"seconds":-0.25E+2}`, `{"seconds":1e999}`, `{"seconds":+1}`, `{"seconds":Inf}`, `{"seconds":0x1p4}`, `{"seconds":1_0}`, `{"steps":-}`, `{"steps":99999999999999999999}`,
	`{"returns":[]}`, `{"returns":null}`, `{"returns":[1,]}`, `{"returns":[1,null]}`, `{"returns":[1 2]}`, `{"lengths":[1,2.5]}`, `{"metrics":{"a":[1],"a":[2]}}`,
	`{"metrics":{"a":[],"b":null}}`, `{"metrics":{}}`, `{"metrics":null,"outcomes":null,"lengths":null}`, `{"metrics":nul}`, `{"metrics":nullx}`, `{"metrics":null,"metrics":{"a":[1]}}`, `{"outcomes":{"win":3,"loss":0}}`, `{"outcomes":{"win":3,"win":4}}`, `{"steps":1,"steps":2}`, `{"Steps":7}`,
	`{"stream":"a\u00e9\n"}`, "{\"stream\":\"\xc3\xa9\"}", "{\"stream\":\"\xff\"}", "{\"stream\":\"a\tb\"}", `{"stream":"final"}x`, `{"stream":"final"`, `{"other":[{"a":1}]}`, `[]`, `null`, ``,
	`{"episodes":-5,"returns":[1]}`, `{"episodes":99999999999,"returns":[1]}`, `{"steps":1,}`, `{,}`, `{"steps":"1"}`, `{"a":[1}]`,
}

func TestDecodeIsJSON(t *testing.T) {
	for _, line := range decodeLines {
		checkDecode(t, line)
	}
	whole, err := json.Marshal(Evaluation{Steps: 7, Updates: 3, Seconds: 0.25, Stream: "final", Cell: "far", World: "w", Episodes: 2, Outcomes: map[string]int{"win": 1, "loss": 1},
		Returns: []float64{1.5, -2e-30}, Lengths: []int{4, 5}, Metrics: map[string][]float64{"crashes": {0, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	checkDecode(t, string(whole))
	s := scanner{data: whole}
	if !s.evaluation(&Evaluation{}) || !s.end() {
		t.Errorf("the fast reader does not take what Dir writes: %s", whole)
	}
	for i := range whole { // cut off, and with a letter changed
		checkDecode(t, string(whole[:i]))
		for _, c := range []byte(`0"]},x`) {
			changed := bytes.Clone(whole)
			changed[i] = c
			checkDecode(t, string(changed))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, line := range decodeLines {
		f.Add(line)
	}
	f.Fuzz(checkDecode)
}
