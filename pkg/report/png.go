package report

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"io"
	"slices"
)

// mostBytes of a PNG are 80 KB in base64, what one output of a notebook may hold.
const mostBytes = 57_000

// writePNG writes an image with at most 256 colours: a third of the bytes of true colour, which a notebook keeps.
// A figure that is still too large gets fewer.
func writePNG(w io.Writer, img *image.RGBA) error {
	var b bytes.Buffer
	for _, colours := range []int{256, 64, 24, 12} {
		b.Reset()
		if err := png.Encode(&b, paletted(img, colours)); err != nil {
			return err
		}
		if b.Len() <= mostBytes {
			break
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// paletted maps an image to its most frequent colours.
func paletted(img *image.RGBA, colours int) *image.Paletted {
	counts := map[uint32]int{}
	eachSpan(img, func(c uint32, from, to int) { counts[c] += to - from })
	palette, index := frequent(counts, colours)
	out := image.NewPaletted(img.Rect, palette)
	eachSpan(img, func(c uint32, from, to int) {
		n := index[c]
		for i := from; i < to; i++ {
			out.Pix[i] = n
		}
	})
	return out
}

// frequent returns a palette and, for every colour, the nearest in it. The palette begins with the most frequent
// colour and goes on with whatever costs most as long as it is missing: its count times its distance to the nearest so far. So
// a small thing of another hue keeps it, and what is lost are shades of edges.
func frequent(counts map[uint32]int, colours int) (color.Palette, map[uint32]uint8) {
	type shade struct {
		colour         uint32
		count, nearest int // nearest of the palette
		distance       int // to it
	}
	list := make([]shade, 0, len(counts))
	for c, n := range counts {
		list = append(list, shade{colour: c, count: n, distance: 1 << 20})
	}
	slices.SortFunc(list, func(a, b shade) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.colour, b.colour))
	})
	var palette color.Palette
	for len(palette) < min(len(list), colours) {
		next, most := 0, -1
		for i, s := range list {
			if cost := s.count * s.distance; cost > most {
				next, most = i, cost
			}
		}
		c := list[next].colour
		for i := range list {
			if d := distance(list[i].colour, c); d < list[i].distance {
				list[i].distance, list[i].nearest = d, len(palette)
			}
		}
		palette = append(palette, unpack(c))
	}
	index := make(map[uint32]uint8, len(list))
	for _, s := range list {
		index[s.colour] = uint8(s.nearest)
	}
	return palette, index
}

// eachSpan calls f for stretches of equal pixels, numbered row by row.
func eachSpan(img *image.RGBA, f func(colour uint32, from, to int)) {
	n, from := len(img.Pix)/4, 0
	now := binary.BigEndian.Uint32(img.Pix)
	for i := 1; i < n; i++ {
		if next := binary.BigEndian.Uint32(img.Pix[4*i:]); next != now {
			f(now>>8, from, i)
			now, from = next, i
		}
	}
	f(now>>8, from, n)
}

func unpack(c uint32) color.RGBA { return color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 255} }

func distance(a, b uint32) int {
	r, g, bl := int(a>>16&255)-int(b>>16&255), int(a>>8&255)-int(b>>8&255), int(a&255)-int(b&255)
	return 3*r*r + 4*g*g + 2*bl*bl // the eye's weights, roughly
}
