package replay

// blocks holds records of one width by their numbers, as many as there are: room is taken a block at a time, and
// a block whose records are no longer needed is used again.
type blocks struct {
	width int
	per   int64 // records of a block
	base  int64 // number of the first record that used has room for, a multiple of per
	next  int64 // behind the last record
	used  [][]byte
	free  [][]byte
}

// blockBytes is about the size of a block.
const blockBytes = 1 << 20

func newBlocks(width int) blocks { return blocks{width: width, per: int64(max(1, blockBytes/width))} }

// at returns a view of record n, which must be held.
func (b *blocks) at(n int64) []byte {
	n -= b.base
	i := int(n%b.per) * b.width
	return b.used[n/b.per][i : i+b.width : i+b.width]
}

// full reports whether the next record begins a block.
func (b *blocks) full() bool { return b.next >= b.base+b.per*int64(len(b.used)) }

// add returns room for the next record. What was there before it must be overwritten whole.
func (b *blocks) add() []byte {
	if b.full() {
		var block []byte
		if k := len(b.free) - 1; k >= 0 {
			block, b.free = b.free[k], b.free[:k]
		} else {
			block = make([]byte, int(b.per)*b.width)
		}
		b.used = append(b.used, block)
	}
	b.next++
	return b.at(b.next - 1)
}

// drop gives up the blocks that hold only records before first.
func (b *blocks) drop(first int64) {
	k := int((first - b.base) / b.per)
	b.free = append(b.free, b.used[:k]...)
	b.used = b.used[:copy(b.used, b.used[k:])]
	b.base += int64(k) * b.per
}

// restart gives up all records; the next is n.
func (b *blocks) restart(n int64) {
	b.free = append(b.free, b.used...)
	b.used, b.base, b.next = b.used[:0], n-n%b.per, n
}
