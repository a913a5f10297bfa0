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
	var t tally
	t.add(img)
	list := t.frequent(levels[0])
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

// tally counts the colours of images, those that share the upper five bits of each channel together. The most frequent of them stands
// for all: what else is near it are edges of letters and lines.
type tally struct {
	count  [1 << 15]int
	lead   [1 << 15]int // of colour over all others there, as in the majority vote of Boyer and Moore
	colour [1 << 15]uint32
}

// alike is the place of a colour in a tally.
func alike(c uint32) int { return int(c>>9&0x7c00 | c>>6&0x3e0 | c>>3&0x1f) }

func (t *tally) add(img *image.RGBA) {
	eachSpan(img, func(c uint32, from, to int) {
		at, n := alike(c), to-from
		t.count[at] += n
		switch {
		case t.colour[at] == c || t.lead[at] == 0:
			t.colour[at], t.lead[at] = c, t.lead[at]+n
		case t.lead[at] >= n:
			t.lead[at] -= n
		default:
			t.colour[at], t.lead[at] = c, n-t.lead[at]
		}
	})
}

// shade is a colour of a tally.
type shade struct {
	colour   uint32
	count    int                // pixels of all that it stands for
	nearest  int                // of the palette
	distance int                // to it
	at       [len(levels)]uint8 // nearest of the first levels[i] colours of the palette
}

// tones are a palette and, for every colour, the nearest in it.
type tones struct {
	palette color.Palette
	shades  []shade
}

// places maps each colour, by alike, to a place in the palette.
func (l tones) places(of func(shade) int) *[1 << 15]uint8 {
	var index [1 << 15]uint8
	for _, s := range l.shades {
		index[alike(s.colour)] = uint8(of(s))
	}
	return &index
}

// paletted maps an image to the first colours of a palette.
func paletted(img *image.RGBA, list tones, level, colours int) *image.Paletted {
	index := list.places(func(s shade) int { return int(s.at[level]) })
	out := image.NewPaletted(img.Rect, list.palette[:min(colours, len(list.palette))])
	eachSpan(img, func(c uint32, from, to int) {
		n := index[alike(c)]
		for i := from; i < to; i++ {
			out.Pix[i] = n
		}
	})
	return out
}

// frequent returns a palette. It begins with the most frequent colour and goes on with whatever costs most as long as it is
// missing: its count times its distance to the nearest so far. So a small thing of another hue keeps it, and what is lost are
// shades of edges; and a smaller palette is the beginning of a larger one.
func (t *tally) frequent(colours int) tones {
	var list []shade
	for at, n := range t.count {
		if n > 0 {
			list = append(list, shade{colour: t.colour[at], count: n, distance: 1 << 20})
		}
	}
	slices.SortStableFunc(list, func(a, b shade) int { return cmp.Compare(b.count, a.count) })
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
	return tones{palette, list}
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
