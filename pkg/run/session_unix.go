//go:build unix

package run

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
)

var ownSession = &syscall.SysProcAttr{Setsid: true}

// zombie reports whether a process has ended but its parent has not asked for its status, where /proc tells.
func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	i := bytes.LastIndexByte(data, ')')
	return err == nil && i >= 0 && i+2 < len(data) && data[i+2] == 'Z'
}
