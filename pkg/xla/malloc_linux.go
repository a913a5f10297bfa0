//go:build linux && cgo && !noxla

package xla

/*
#include <malloc.h>
#include <stdlib.h>

#ifdef __GLIBC__
// XLA asks for its temporary buffer (20 to 500 MB) anew at each call and by default pays page faults for all
// of it. A constructor runs before any thread exists; later M_ARENA_MAX would have no effect.
static int tuned;
__attribute__((constructor)) static void muster_tune_malloc(void) {
	tuned = mallopt(M_MMAP_THRESHOLD, 1 << 30) && mallopt(M_TRIM_THRESHOLD, 2147483647) &&
		mallopt(M_TOP_PAD, 64 << 20) && mallopt(M_ARENA_MAX, 1);
}

// 1 if a large block comes from the heap, which keeps its pages, and not from a mapping of its own.
static int muster_malloc_is_tuned(void) {
	struct mallinfo2 before = mallinfo2();
	void *p = malloc(256 << 20);
	struct mallinfo2 after = mallinfo2();
	free(p);
	return tuned && p != NULL && before.hblks == after.hblks;
}
#else
static int muster_malloc_is_tuned(void) { return 0; }
#endif
*/
import "C"

// MallocTuned reports whether memory allocation is tuned for XLA in this process.
func MallocTuned() bool { return C.muster_malloc_is_tuned() == 1 }
