//go:build !goexperiment.simd || !amd64

package rng

func clearUpper() {}
