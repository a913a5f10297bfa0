package report

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"slices"
)

// mostBytes of a PNG are 80 KB in base64, what one output of a notebook may hold.
const mostBytes = 57_000

// writePNG writes an image with at most 256 colours: a third of the bytes of true colour, which a notebook keeps.
// A figure that is still too large gets fewer.
func writePNG(w io.Writer, img *image.RGBA) error {
	counts := map[uint32]int{}
	eachSpan(img, func(c uint32, from, to int) { counts[c] += to - from })
	list := frequent(counts, levels[0])
	var b bytes.Buffer
	quick := png.Encoder{CompressionLevel: png.BestSpeed}
	for level, colours := range levels {
		last := level == len(levels)-1
		small := paletted(img, list, level, colours)
		if !last { // a quarter of the time tells whether it can fit: the slower way saves less than a fifth
			b.Reset()
			if err := quick.Encode(&b, small); err != nil {
				return err
			}
			if b.Len() > mostBytes*5/4 {
				continue
			}
		}
		b.Reset()
		if err := png.Encode(&b, small); err != nil {
			return err
		}
		if b.Len() <= mostBytes || last {
			break
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// levels are numbers of colours to try.
var levels = [...]int{256, 64, 24, 12}

// shade is a colour of an image, with those that look like it.
type shade struct {
	colour      uint32
	count, best int                // pixels of all, and of this colour
	nearest     int                // of the palette
	distance    int                // to it
	at          [len(levels)]uint8 // nearest of the first levels[i] colours of the palette
}

// paletted maps an image to the first colours of a palette.
func paletted(img *image.RGBA, list tones, level, colours int) *image.Paletted {
	index := list.index(func(s shade) int { return int(s.at[level]) })
	out := image.NewPaletted(img.Rect, list.palette[:min(colours, len(list.palette))])
	eachSpan(img, func(c uint32, from, to int) {
		n := index[c]
		for i := from; i < to; i++ {
			out.Pix[i] = n
		}
	})
	return out
}

// tones are a palette and, for every colour, the nearest in it.
type tones struct {
	palette color.Palette
	shades  []shade
	colours []uint32
}

// index maps each colour to a place in the palette.
func (l tones) index(place func(shade) int) map[uint32]uint8 {
	alike := make(map[uint32]uint8, len(l.shades))
	for _, s := range l.shades {
		alike[s.colour&0xf8f8f8] = uint8(place(s))
	}
	index := make(map[uint32]uint8, len(l.colours))
	for _, c := range l.colours {
		index[c] = alike[c&0xf8f8f8]
	}
	return index
}

// frequent returns a palette. It begins with the most frequent colour and goes on with whatever costs most as long as it is
// missing: its count times its distance to the nearest so far. So a small thing of another hue keeps it, and what is lost are
// shades of edges; and a smaller palette is the beginning of a larger one.
func frequent(counts map[uint32]int, colours int) tones {
	alike := map[uint32]shade{} // by the upper five bits of each channel; the most frequent colour stands for them
	for c, n := range counts {
		s := alike[c&0xf8f8f8]
		if n > s.best || n == s.best && c < s.colour {
			s.colour, s.best = c, n
		}
		s.count, s.distance = s.count+n, 1<<20
		alike[c&0xf8f8f8] = s
	}
	list := slices.SortedFunc(maps.Values(alike), func(a, b shade) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.colour, b.colour))
	})
	var palette color.Palette
	keep := func(level int) {
		for i := range list {
			list[i].at[level] = uint8(list[i].nearest)
		}
	}
	for next := 0; len(palette) < min(len(list), colours); {
		c, most := list[next].colour, -1
		for i := range list {
			s := &list[i]
			if d := distance(s.colour, c); d < s.distance {
				s.distance, s.nearest = d, len(palette)
			}
			if cost := s.count * s.distance; cost > most {
				next, most = i, cost
			}
		}
		palette = append(palette, unpack(c))
		if level := slices.Index(levels[:], len(palette)); level >= 0 {
			keep(level)
		}
	}
	for level, n := range levels {
		if n > len(palette) {
			keep(level)
		}
	}
	return tones{palette, list, slices.Collect(maps.Keys(counts))}
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
