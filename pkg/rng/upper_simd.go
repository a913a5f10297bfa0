//go:build goexperiment.simd && amd64

package rng

import "simd/archsimd"

// clearUpper makes instructions of the SSE kind fast again. Built with GOEXPERIMENT=simd, Go 1.26 leaves the upper
// halves of the vector registers in use whenever it interrupts a goroutine, after 10 ms. Until something clears them,
// SHA-256 takes some hundred times as long, and so does math.Exp, which environments use.
func clearUpper() { archsimd.ClearAVXUpperBits() }
