package replay

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/muster-marl/muster/pkg/env"
)

// The functions of this file write values into the head of b, or read them from it, and return what follows.

func putFloats(b []byte, x []float32) []byte {
	if little {
		return b[copy(b[:4*len(x)], memory(x)):]
	}
	for j, v := range x {
		binary.LittleEndian.PutUint32(b[4*j:], math.Float32bits(v))
	}
	return b[4*len(x):]
}

func floats(b []byte, x []float32) []byte {
	if little {
		return b[copy(memory(x), b[:4*len(x)]):]
	}
	for j := range x {
		x[j] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*j:]))
	}
	return b[4*len(x):]
}

// little is true where numbers lie in memory as they do in records, so that copying them is enough: about three times as
// fast as one by one.
var little = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// memory is a view of x.
func memory(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

func putHalves(b []byte, x []float32) []byte {
	for j, v := range x {
		binary.LittleEndian.PutUint16(b[2*j:], half(v))
	}
	return b[2*len(x):]
}

func halves(b []byte, x []float32) []byte {
	for j := range x {
		x[j] = single(binary.LittleEndian.Uint16(b[2*j:]))
	}
	return b[2*len(x):]
}

// half rounds x to the nearest float16, ties to even. What is larger than the largest, 65504, becomes ±65504.
func half(x float32) uint16 {
	const (
		most   = 0x477fe000 // 65504
		normal = 0x38800000 // 2^-14: smaller ones have fewer bits
		shift  = 112 << 23  // between the exponents of the two formats
		ruler  = 0.5        // its last bit is worth 2^-24, as that of all float16 below normal
	)
	bits := math.Float32bits(x)
	sign, a := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case x != x:
		return sign | 0x7e00
	case a >= most:
		return sign | 0x7bff
	case a < normal:
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+ruler)-math.Float32bits(ruler))
	}
	return sign | uint16((a-shift+0xfff+a>>13&1)>>13)
}

// single returns the value of a float16.
func single(h uint16) float32 {
	sign, a := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	if a >= 31<<23 { // half writes no infinity
		return math.Float32frombits(sign | 0x7fc00000)
	}
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(a)*0x1p112))
}

// eight are the bits of each byte, the lowest first.
var eight = func() (t [256][8]bool) {
	for b := range t {
		for j := range t[b] {
			t[b][j] = b>>j&1 == 1
		}
	}
	return t
}()

// bitBytes is the size of n bits.
func bitBytes(n int) int { return (n + 7) / 8 }

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func putBits(b []byte, x []bool) []byte {
	for ; len(x) >= 8; x = x[8:] {
		e := (*[8]bool)(x)
		b[0] = bit(e[0]) | bit(e[1])<<1 | bit(e[2])<<2 | bit(e[3])<<3 | bit(e[4])<<4 | bit(e[5])<<5 | bit(e[6])<<6 | bit(e[7])<<7
		b = b[1:]
	}
	if len(x) == 0 {
		return b
	}
	b[0] = 0
	for j, ok := range x {
		b[0] |= bit(ok) << j
	}
	return b[1:]
}

func bits(b []byte, x []bool) []byte {
	for ; len(x) >= 8; x = x[8:] {
		*(*[8]bool)(x), b = eight[b[0]], b[1:]
	}
	if len(x) == 0 {
		return b
	}
	copy(x, eight[b[0]][:])
	return b[1:]
}

func putActions(b []byte, act []int32) []byte {
	for j, a := range act {
		b[j] = byte(a)
	}
	return b[len(act):]
}

func actions(b []byte, act []int32) []byte {
	for j := range act {
		act[j] = int32(b[j])
	}
	return b[len(act):]
}

// discrete returns an error naming what the actions of a spec have that does not fit into a byte each.
func discrete(spec env.Spec) error {
	if spec.ActDim > 0 {
		return fmt.Errorf("replay: %s has continuous actions of size %d, want discrete ones only", spec.Name, spec.ActDim)
	}
	for _, n := range spec.Actions {
		if n > 256 {
			return fmt.Errorf("replay: %s has a head of %d choices, want at most 256", spec.Name, n)
		}
	}
	return nil
}
