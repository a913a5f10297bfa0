package team

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/muster-marl/muster/pkg/env"
	"github.com/muster-marl/muster/pkg/env/battle"
)

// number is a published mean, by names.
func (p Published) number(t *testing.T, row, column string) float64 {
	t.Helper()
	i, j := slices.Index(p.Rows, row), slices.Index(p.Columns, column)
	if i < 0 || j < 0 {
		t.Fatalf("%s has no %q, %q", p.Source, row, column)
	}
	return p.Values[i][j]
}

var byScenario = map[string]func() Published{"SZ": Table2, "CSZ": Table3, "MMM": Table4}

// TestPublished: what the paper says of its tables, recomputed from them. Its text counts 26 of 27 compositions in which OOM
// is ahead of SOM; the tables hold 21, and it is ahead in 20. Matching is best in 6 of 9 cells of evaluation, as the text says.
func TestPublished(t *testing.T) {
	sizes := []string{"6 agents", "7 agents", "8 agents"}
	pairs, ahead, first, cells, nowhere := 0, 0, 0, 0, ""
	for scenario, table := range byScenario {
		p := table()
		if len(p.Rows) != 6 || len(p.Columns) != 4 {
			t.Errorf("%s has %d rows and %d columns", p.Source, len(p.Rows), len(p.Columns))
		}
		for i, row := range p.Rows {
			for j, v := range p.Values[i] {
				sd := p.Spread[i][j]
				leaders := int(row[len(row)-len("2 leaders")] - '0')
				if given := leaders == 2 || j > 0 && 2*leaders <= j+5; given == math.IsNaN(v) || given == math.IsNaN(sd) || v > 0.7 || sd > 0.2 {
					t.Errorf("%s: %s, %s: %v ± %v", p.Source, row, p.Columns[j], v, sd)
				}
			}
		}
		whole := Table1(scenario)
		for _, size := range sizes {
			best := map[string]float64{}
			for _, leaders := range []string{"2", "3", "4"} {
				oom, som := p.number(t, scenario+": OOM, "+leaders+" leaders", size), p.number(t, scenario+": SOM, "+leaders+" leaders", size)
				if math.IsNaN(oom) {
					continue
				}
				if pairs++; oom > som {
					ahead++
				} else {
					nowhere += scenario + size + leaders
				}
				best["OOM"], best["SOM"] = max(best["OOM"], oom), max(best["SOM"], som)
			}
			for method, v := range best {
				printed := whole.number(t, scenario+": "+method+"*", size)
				if other := scenario+method+size == "SZSOM6 agents"; (printed != v) != other {
					t.Errorf("%s of %s, %s: %v in table 1, the best of its leaders is %v", method, scenario, size, printed, v)
				}
			}
			cells++
			top := 0.0
			for i := range whole.Rows {
				top = max(top, whole.Values[i][slices.Index(whole.Columns, size)])
			}
			if top == max(best["OOM"], best["SOM"]) {
				first++
			}
		}
		for _, method := range []string{"OOM", "SOM"} {
			if a, b := whole.number(t, scenario+": "+method+"*", "training 3–5"), p.number(t, scenario+": "+method+", 2 leaders", "training 3–5"); a != b {
				t.Errorf("%s of %s in training: %v and %v", method, scenario, a, b)
			}
		}
	}
	if pairs != 21 || ahead != 20 || nowhere != "CSZ6 agents3" || cells != 9 || first != 6 {
		t.Errorf("OOM is ahead in %d of %d compositions, but for %s; matching is best in %d of %d cells", ahead, pairs, nowhere, first, cells)
	}
	all := Table1()
	if len(all.Rows) != 21 || len(Table1("SZ", "MMM").Rows) != 14 || len(Table1("XZ").Rows) != 0 || !strings.HasSuffix(Table1("SZ").Source, "table 1 (SZ)") {
		t.Errorf("%d rows of table 1", len(all.Rows))
	}
	for j, want := range [4][2]float64{{10.989, 0.652}, {8.169, 1.451}, {6.438, 1.262}, {4.972, 1.384}} { // added up from another copy of the table
		mean, deviation := 0.0, 0.0
		for i := range all.Rows {
			mean, deviation = mean+all.Values[i][j], deviation+all.Spread[i][j]
		}
		if math.Abs(mean-want[0]) > 1e-9 || math.Abs(deviation-want[1]) > 1e-9 {
			t.Errorf("%s: means sum to %.3f and deviations to %.3f, want %v", all.Columns[j], mean, deviation, want)
		}
	}
}

// TestPlacesOfCells: the world of training and the cells of its evaluation fill exactly the places that the paper's tables give
// for one method; without leaders, those of a row of table 1.
func TestPlacesOfCells(t *testing.T) {
	for scenario, w := range map[string]battle.World{"SZ": battle.SZ(3, 4, 5), "CSZ": battle.CSZ(3, 4, 5), "MMM": battle.MMM(3, 4, 5)} {
		for method, table := range map[string]Published{"oom": byScenario[scenario](), "som": byScenario[scenario](), "refil": Table1(scenario)} {
			if method != "refil" {
				w.Leaders = 2
			} else {
				w.Leaders = 0
			}
			spec, err := env.Probe(w)
			if err != nil {
				t.Fatal(err)
			}
			filled, given := map[string]bool{}, 0
			for _, cell := range append(w.Cells(6, 7, 8), env.Cell{}) {
				row, column := ByLeaders(method, spec.Name, cell.Name)
				if v := table.number(t, row, column); math.IsNaN(v) || filled[row+column] {
					t.Errorf("cell %q of %s stands at %s, %s, where the paper has %v", cell.Name, spec.Name, row, column, v)
				}
				filled[row+column] = true
			}
			for i, row := range table.Rows {
				for _, v := range table.Values[i] {
					if strings.HasPrefix(row, scenario+": "+strings.ToUpper(method)) && !math.IsNaN(v) {
						given++
					}
				}
			}
			if len(filled) != given {
				t.Errorf("%s on %s fills %d places, the paper gives %d", method, spec.Name, len(filled), given)
			}
		}
	}
}

func TestPlace(t *testing.T) {
	for _, c := range []struct{ method, world, cell, leaders, all, column string }{
		{"oom", "battle/sz-3-5-l2", "", "SZ: OOM, 2 leaders", "SZ: OOM*", "training 3–5"},
		{"oom", "battle/sz-3-5-l2", "8-l4", "SZ: OOM, 4 leaders", "SZ: OOM*", "8 agents"},
		{"refil", "battle/mmm-3-5", "7", "MMM: REFIL", "MMM: REFIL", "7 agents"},
		{"oom-random", "battle/csz-3-5-l2-lite", "6-l2", "CSZ (lite): oom-random, 2 leaders", "CSZ (lite): oom-random*", "6 agents"},
		{"som", "battle/sz-4-l2", "", "SZ: SOM, 2 leaders", "SZ: SOM*", "training 4"},
		{"som", "battle/3-8m-3-5-l2", "6-l3", "3-8M: SOM, 3 leaders", "3-8M: SOM*", "6 agents"},
		{"qmix", "battle/2s3z", "", "qmix", "qmix", ""},
		{"oom", "battle/sz-3-5-l2", "far", "SZ: OOM", "SZ: OOM", ""},
	} {
		if row, column := ByLeaders(c.method, c.world, c.cell); row != c.leaders || column != c.column {
			t.Errorf("%s on %s, cell %q: row %q, column %q, want %q, %q", c.method, c.world, c.cell, row, column, c.leaders, c.column)
		}
		if row, column := ByMethod(c.method, c.world, c.cell); row != c.all || column != c.column {
			t.Errorf("%s on %s, cell %q: row %q, column %q, want %q, %q", c.method, c.world, c.cell, row, column, c.all, c.column)
		}
	}
	for _, row := range slices.Concat(Table2().Rows, Table3().Rows, Table4().Rows) {
		scenario, rest, _ := strings.Cut(row, ": ")
		method, leaders, _ := strings.Cut(rest, ", ")
		if got, _ := ByLeaders(strings.ToLower(method), "battle/"+strings.ToLower(scenario)+"-3-5-l2", "8-l"+leaders[:1]); got != row {
			t.Errorf("row %q, want %q", got, row)
		}
	}
}
