package nb

import (
	"encoding/gob"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/muster-marl/muster/pkg/run"
)

func init() { gob.Register(map[string]any{}) } // metadata of a display

// isNotebook is false in a process that a cell has started: the kernel may be gone.
func isNotebook() bool {
	dir, _ := run.Child()
	return gonbui.IsNotebook && dir == ""
}

// lost is true once the kernel has stopped answering: at shutdown it goes before the cell.
var lost atomic.Bool

// display shows a frame in the cell's output, in place of the earlier frame with the same id ("" = a new output),
// and waits until the kernel has taken it, but no longer than limit: a kernel that is gone never answers.
func display(id string, f frame, limit time.Duration) {
	if !isNotebook() {
		fmt.Println(f.text)
		return
	}
	if lost.Load() {
		return
	}
	if id != "" {
		id += "/" + execution()
	}
	taken := make(chan struct{})
	go func() {
		gonbui.SendData(f.message(id))
		gonbui.Sync() // without it, figures are lost when the program ends
		close(taken)
	}()
	select {
	case <-taken:
	case <-time.After(limit):
		lost.Store(true)
	}
}

// execution tells this run of the cell from others. The kernel remembers ids for as long as it lives, so with
// the same id a cell that runs again would update the output that it has just cleared. Notebooks do not store ids.
func execution() string { return filepath.Base(os.Getenv("GONB_PIPE")) }

// survivePipes turns writes to a closed standard output into errors. Without it they kill the program: when
// the kernel shuts down, its end of the pipe is gone while the last checkpoint is written.
var survivePipes = sync.OnceFunc(func() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not Ignore, which child processes would inherit
})
