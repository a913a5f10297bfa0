package report

import (
	"bytes"
	"image"
	"image/color"
	"io"
	"math"

	"github.com/kettek/apng"
)

// writeAnimation writes images of one size as an animated PNG that begins anew after two seconds. A frame holds what
// has changed since the one before. An animation that is too large for a notebook gets fewer colours, then fewer frames.
func writeAnimation(w io.Writer, images []*image.RGBA, rate float64) error {
	var t tally
	for _, img := range images {
		t.add(img)
	}
	var b bytes.Buffer
	for _, colours := range []int{31, 15, 10} {
		list := t.frequent(colours)
		b.Reset()
		if err := apng.Encode(&b, animation(images, list.palette, list.places(func(s shade) int { return s.nearest }), rate)); err != nil {
			return err
		}
		if b.Len() <= mostBytes {
			break
		}
	}
	if b.Len() > mostBytes && len(images) > 2 {
		return writeAnimation(w, halved(images), rate/2)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// halved keeps every second image, and the last.
func halved(images []*image.RGBA) []*image.RGBA {
	var kept []*image.RGBA
	for i := 0; i < len(images)-1; i += 2 {
		kept = append(kept, images[i])
	}
	return append(kept, images[len(images)-1])
}

func animation(images []*image.RGBA, palette color.Palette, index *[1 << 15]uint8, rate float64) apng.APNG {
	clearest := uint8(len(palette))
	palette = append(palette[:clearest:clearest], color.RGBA{}) // what has not changed
	delay := uint16(max(1, min(math.Round(1000/rate), math.MaxUint16)))
	var a apng.APNG
	var before *image.Paletted
	for i, img := range images {
		now := image.NewPaletted(img.Rect, palette)
		eachSpan(img, func(c uint32, from, to int) {
			n := index[alike(c)]
			for k := from; k < to; k++ {
				now.Pix[k] = n
			}
		})
		f := apng.Frame{Image: now, DelayNumerator: delay, DelayDenominator: 1000, BlendOp: apng.BLEND_OP_OVER}
		if i > 0 {
			f.Image, f.XOffset, f.YOffset = changed(now, before, clearest)
		}
		if i == len(images)-1 {
			f.DelayNumerator = 2000
		}
		a.Frames, before = append(a.Frames, f), now
	}
	return a
}

// changed is the smallest part of now that differs from before, with the clear colour where it does not.
func changed(now, before *image.Paletted, clearest uint8) (part *image.Paletted, x, y int) {
	w, h := now.Rect.Dx(), now.Rect.Dy()
	area := image.Rectangle{Min: image.Pt(w, h)}
	for i, c := range now.Pix {
		if c != before.Pix[i] {
			px, py := i%w, i/w
			area.Min.X, area.Min.Y = min(area.Min.X, px), min(area.Min.Y, py)
			area.Max.X, area.Max.Y = max(area.Max.X, px+1), max(area.Max.Y, py+1)
		}
	}
	if area.Max.X == 0 { // a frame needs a pixel
		area = image.Rect(0, 0, 1, 1)
	}
	part = image.NewPaletted(image.Rect(0, 0, area.Dx(), area.Dy()), now.Palette)
	for row := range area.Dy() {
		for column := range area.Dx() {
			k := (area.Min.Y+row)*w + area.Min.X + column
			c := now.Pix[k]
			if c == before.Pix[k] {
				c = clearest
			}
			part.Pix[row*area.Dx()+column] = c
		}
	}
	return part, area.Min.X, area.Min.Y
}
