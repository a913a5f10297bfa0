// Package rng derives every random stream of an experiment from one key, so that adding a draw in one
// place moves no other stream and results do not depend on the number of workers.
//
// The streams in use (fixed once, see docs/design.md): init + variable path, env + episode number,
// act + step, replay + update, eval + cell + episode, final + cell + episode.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Key is 128 bits from which streams and further keys follow. The zero value is a key like any other.
type Key [2]uint64

// New returns the key of a seed.
func New(seed uint64) Key { return Key{0, seed}.Split("seed") }

// Split returns the key of a stream: the head of SHA-256 over key, name and indices. It does not allocate
// for names up to 64 bytes and up to four indices.
func (k Key) Split(name string, index ...int64) Key {
	var buf [128]byte
	b := binary.LittleEndian.AppendUint64(buf[:0], k[0])
	b = binary.LittleEndian.AppendUint64(b, k[1])
	b = binary.LittleEndian.AppendUint64(b, uint64(len(name)))
	b = append(b, name...)
	for _, i := range index {
		b = binary.LittleEndian.AppendUint64(b, uint64(i))
	}
	sum := sha256.Sum256(b)
	return Key{binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])}
}

// Rand returns a new generator at the beginning of the key's stream.
func (k Key) Rand() *rand.Rand { return rand.New(k.PCG()) }

// PCG returns the source behind Rand. A caller that keeps a source reseeds it by Seed, without allocation.
func (k Key) PCG() *rand.PCG { return rand.NewPCG(k[0], k[1]) }

// Seed moves src to the beginning of the key's stream.
func (k Key) Seed(src *rand.PCG) { src.Seed(k[0], k[1]) }

// String returns the key as 32 hexadecimal digits.
func (k Key) String() string { return fmt.Sprintf("%016x%016x", k[0], k[1]) }
