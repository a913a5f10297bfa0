//go:build !linux || !cgo || noxla

package xla

// MallocTuned reports whether memory allocation is tuned for XLA in this process.
func MallocTuned() bool { return false }
