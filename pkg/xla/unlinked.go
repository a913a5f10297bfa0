//go:build noxla || !((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package xla

const linked = false // built without XLA
