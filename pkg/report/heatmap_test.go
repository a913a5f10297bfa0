package report

import (
	"image/png"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
)

func TestHeatMapNumbers(t *testing.T) {
	m := HeatMap([][]float64{{0, 1, 2}, {3, math.NaN(), 9.5}}, "visits of V = 6").Mark(1, 2, "a").Mark(0, 0, "b").Unit("visits")
	if got, want := render(t, m, "text"), "visits of V = 6: 2 rows × 3 columns of visits; highest 9.5 at row 1, column 2; "+
		"lowest 0 at row 0, column 0; marked a (1, 2), b (0, 0)\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	wants(t, render(t, m, "csv"), "map,row,column,value\nvisits of V = 6,0,0,0\n", "visits of V = 6,1,1,\nvisits of V = 6,1,2,9.5\n")
	wants(t, render(t, m, "pdf")[:5], "%PDF-")
}

// The highest cell is darkest, the lowest lightest, and an absent one white. One figure has one scale: the same
// value has the same colour in both maps. Cells are 200 pixels high here and begin below margin and title.
func TestHeatMapColours(t *testing.T) {
	maps := Beside(2, HeatMap([][]float64{{0, 10}, {math.NaN(), 5}}, "left"), HeatMap([][]float64{{5, 5}, {5, 5}}, "right"))
	img, err := png.Decode(strings.NewReader(render(t, maps, "png")))
	if err != nil {
		t.Fatal(err)
	}
	edge, w, _ := maps.cells()
	at := func(m, row, column int) uint32 {
		x := margin + vg.Length(m)*(w+gap) + edge*vg.Length(column) + edge/2
		y := margin + titleLine + edge*vg.Length(row) + edge/2
		r, g, b, _ := img.At(int(x/pixel), int(y/pixel)).RGBA()
		return r>>8<<16 | g>>8<<8 | b>>8
	}
	if c := at(0, 1, 0); c != 0xffffff {
		t.Errorf("an absent value is drawn as %06x, want white", c)
	}
	low, middle, high := at(0, 0, 0), at(0, 1, 1), at(0, 0, 1)
	if low <= middle || middle <= high {
		t.Errorf("values 0, 5, 10 are drawn as %06x, %06x, %06x, want ever darker", low, middle, high)
	}
	if c := at(1, 0, 0); c != middle {
		t.Errorf("5 is %06x on the left and %06x on the right", middle, c)
	}
}

func TestHeatMapOfOneValue(t *testing.T) {
	render(t, HeatMap([][]float64{{7}}, "constant"), "png") // an empty scale must not divide by zero
}

func TestHeatMapRefuses(t *testing.T) {
	refuses(t, HeatMap(nil, "none"), "png", `heat map "none" has no cells`)
	refuses(t, HeatMap([][]float64{{1, 2}, {3}}, "torn"), "png", `"torn" has 1 values in row 1 and 2 in row 0`)
	refuses(t, HeatMap([][]float64{{1}}, "small").Mark(0, 1, "x"), "png", "none at row 0, column 1", `"x"`)
	refuses(t, HeatMap([][]float64{{1}}, "small"), "md", `unknown format "md"`, "json or text")
	refuses(t, Beside(0, HeatMap([][]float64{{1}}, "small")), "png", "rows of 0")
}
