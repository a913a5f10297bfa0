package replay

import (
	"math"
	"testing"
)

// value is that of a float16 by its definition (IEEE 754).
func value(h uint16) float64 {
	sign, exponent, fraction := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	if exponent == 0 {
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// TestHalf: every float16 is read by its definition and written as itself; all between two neighbours go to the
// nearer, the middle to the even one.
func TestHalf(t *testing.T) {
	for h := range uint16(31 << 10) {
		for _, sign := range []uint16{0, 0x8000} {
			x := single(h | sign)
			if float64(x) != value(h|sign) || math.Signbit(float64(x)) != (sign != 0) || half(x) != h|sign {
				t.Fatalf("float16 %#x is read as %v, want %v, and written as %#x", h|sign, x, value(h|sign), half(x))
			}
			if h == 31<<10-1 {
				continue
			}
			next, even := value((h+1)|sign), h+h&1
			middle := float32((float64(x) + next) / 2) // exact: 12 bits
			for y, want := range map[float32]uint16{
				middle: even, math.Nextafter32(middle, x): h, math.Nextafter32(middle, float32(next)): h + 1,
			} {
				if got := half(y); got != want|sign {
					t.Fatalf("%v is written as %#x, want %#x", y, got, want|sign)
				}
			}
		}
	}
	inf := float32(math.Inf(1))
	for _, x := range []float32{65504, 65519, 65520, 1e6, math.MaxFloat32, inf} {
		if a, b := single(half(x)), single(half(-x)); a != 65504 || b != -65504 {
			t.Errorf("±%v becomes %v and %v, want ±65504", x, a, b)
		}
	}
	if x := single(half(float32(math.NaN()))); x == x {
		t.Errorf("NaN becomes %v", x)
	}
	if x := single(half(math.SmallestNonzeroFloat32)); x != 0 {
		t.Errorf("the smallest float32 becomes %v", x)
	}
}
