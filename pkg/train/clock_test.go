package train

import (
	"strings"
	"testing"
	"time"
)

// Speed and time left are differences of readings that a clock which is put back does not change: Go prints such
// a reading with "m=".
func TestTimesAreMonotonic(t *testing.T) {
	var b board
	b.begin("dir", "title", 100)
	l := new(Loop)
	for n := range int64(3) {
		l.state.Steps = 10 * n
		time.Sleep(time.Millisecond)
		b.update(l, 0, true)
	}
	for _, at := range []time.Time{b.lastAdd, b.marks[0].at, b.marks[2].at} {
		if !strings.Contains(at.String(), " m=+") {
			t.Errorf("%v is a time of the day", at)
		}
	}
	if b.p.StepsPerSecond <= 0 || b.p.Left <= 0 {
		t.Errorf("%v steps/s, %v left, want both", b.p.StepsPerSecond, b.p.Left)
	}
}
