package report

import (
	"math"
	"testing"

	"github.com/muster-marl/muster/pkg/stats"
)

// example has every kind of cell, a group, and characters that each format must escape.
func example() Table {
	return Table{
		Caption:  "Wins & <losses>, 100 %",
		Groups:   []Group{{"", 1}, {"map 2s_3z", 2}},
		Header:   []string{"method", "wins", "episodes"},
		Decimals: 1,
		Rows: [][]any{
			{"vdn|1", Estimate{50, stats.Interval{Low: 40.04, High: 61}}, 1200},
			{"<b>", Estimate{Value: math.NaN()}, nil},
		},
	}
}

func TestTableFormats(t *testing.T) {
	for format, want := range map[string]string{
		"text": `Wins & <losses>, 100 %

        map 2s_3z
method               wins  episodes
------  -----------------  --------
vdn|1   50.0 [40.0, 61.0]     1,200
<b>                     –         –
`,
		"md": `Wins & &lt;losses>, 100 %

| method | map 2s\_3z: wins | map 2s\_3z: episodes |
|---|--:|--:|
| vdn\|1 | 50.0 [40.0, 61.0] | 1,200 |
| &lt;b> | – | – |
`,
		"csv": `method,map 2s_3z: wins,map 2s_3z: wins low,map 2s_3z: wins high,map 2s_3z: episodes
vdn|1,50,40.04,61,1200
<b>,,,,
`,
		"tex": `\begin{table}
\centering
\caption{Wins \& <losses>, 100 \%}
\begin{tabular}{lrr}
\toprule
\multicolumn{1}{c}{} & \multicolumn{2}{c}{map 2s\_3z} \\
\cmidrule(lr){2-3}
method & wins & episodes \\
\midrule
vdn|1 & 50.0 [40.0, 61.0] & 1,200 \\
<b> & -- & -- \\
\bottomrule
\end{tabular}
\end{table}
`,
		"html": `<table>
<caption>Wins &amp; &lt;losses&gt;, 100 %</caption>
<thead>
<tr><th colspan="1"></th><th colspan="2">map 2s_3z</th></tr>
<tr><th>method</th><th>wins</th><th>episodes</th></tr>
</thead>
<tbody>
<tr><td>vdn|1</td><td>50.0 [40.0, 61.0]</td><td>1,200</td></tr>
<tr><td>&lt;b&gt;</td><td>–</td><td>–</td></tr>
</tbody>
</table>
`,
	} {
		if got := render(t, example(), format); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", format, got, want)
		}
	}
}

func TestTableCells(t *testing.T) {
	one := Table{Header: []string{"x"}}
	for _, c := range []struct {
		v        any
		decimals int
		want     string
	}{
		{int64(-1234567), 0, "-1,234,567"}, {uint8(7), 0, "7"}, {float32(0.5), 2, "0.50"}, {12.3456, 0, "12.35"},
		{-0.001, 2, "0.00"}, {math.NaN(), 2, "–"}, {true, 0, "true"}, {signed(1.25), 1, "+1.2"}, {signed(-3), 0, "-3"}, {signed(0.001), 2, "0.00"},
	} {
		one.Decimals = c.decimals
		if got := one.show(c.v); got != c.want {
			t.Errorf("%T %v is shown as %q, want %q", c.v, c.v, got, c.want)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	refuses(t, Table{Caption: "empty"}, "html", `table "empty" has no header`)
	refuses(t, Table{Header: []string{"a", "b"}, Rows: [][]any{{1}}}, "md", "row 0", "has 1 cells, the header has 2")
	refuses(t, Table{Header: []string{"a", "b"}, Groups: []Group{{"g", 3}}}, "md", "have 3 columns, the header has 2")
	refuses(t, example(), "png", `unknown format "png", want html, text, md, csv, json or tex`)
}
