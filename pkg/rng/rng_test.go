package rng

import (
	"math/rand/v2"
	"testing"
)

// TestSplitIsFixed pins the derivation: run directories of earlier versions must mean the same streams.
// The numbers are SHA-256 of the documented bytes, computed once with Python's hashlib (see the comment).
func TestSplitIsFixed(t *testing.T) {
	// hashlib.sha256(struct.pack("<QQQ", 0, 7, 4) + b"seed").hexdigest(), first two words little endian
	if got, want := New(7).String(), "18d29e106cd60754c833135c82481620"; got != want {
		t.Errorf("New(7) = %s, want %s", got, want)
	}
	if a, b := New(7).Split("env", 1, 2), New(7).Split("env", 1, 2); a != b {
		t.Errorf("the same stream has keys %v and %v", a, b)
	}
}

func TestSplitSeparatesStreams(t *testing.T) {
	k, seen := New(1), map[Key]string{}
	for name, key := range map[string]Key{
		"env": k.Split("env"), "act": k.Split("act"), "env 0": k.Split("env", 0), "env 1": k.Split("env", 1),
		"env 0 1": k.Split("env", 0, 1), "env 1 0": k.Split("env", 1, 0), "other seed": New(2).Split("env"),
		"nested": k.Split("env").Split("act"), "swapped": k.Split("act").Split("env"),
	} {
		if old, ok := seen[key]; ok {
			t.Errorf("streams %q and %q share the key %v", name, old, key)
		}
		seen[key] = name
	}
}

func TestSeedRestartsTheStreamWithoutAllocation(t *testing.T) {
	k, src := New(3), new(rand.PCG)
	want := k.Split("env", 9).Rand().Uint64()
	if n := testing.AllocsPerRun(100, func() { k.Split("env", 9).Seed(src) }); n != 0 {
		t.Errorf("Split and Seed allocate %v times", n)
	}
	if got := rand.New(src).Uint64(); got != want {
		t.Errorf("reseeded stream begins with %d, want %d", got, want)
	}
}
