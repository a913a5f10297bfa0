package xla

import (
	"fmt"
	"runtime/debug"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Acting compiles the graph function by which a policy acts, once for each number of environments. Small batches act
// on the Go backend, with a copy of the weights.
type Acting struct {
	Device  *Device
	Learned *model.Store // the weights
	Reads   string       // beginning of the paths of the variables that Graph reads: "/online/"
	Rows    int          // of each environment
	Below   int          // rows below which the Go backend acts; see Device.ForRows
	Graph   func(s *model.Scope, in []*graph.Node) []*graph.Node
	Inputs  func(envs int) []Input

	copied   *model.Store // on the Go backend; nil where Device itself acts
	stale    bool         // true = copied is older than Learned
	programs map[int]*Program
}

// Changed says that the weights are others than before.
func (a *Acting) Changed() { a.stale = true }

// Program returns the program for so many environments, with the newest weights.
func (a *Acting) Program(envs int) (*Program, error) {
	p, ok := a.programs[envs]
	if !ok {
		return a.compile(envs)
	}
	return p, a.refresh()
}

func (a *Acting) compile(envs int) (*Program, error) {
	dev, err := a.Device.ForRows(envs*a.Rows, a.Below)
	if err != nil {
		return nil, err
	}
	store := a.Learned
	if dev != a.Device {
		if a.copied == nil {
			a.copied, a.stale = model.NewStore(), true
		}
		store = a.copied
	}
	if err := a.refresh(); err != nil {
		return nil, err
	}
	p, err := Compile(dev, fmt.Sprintf("act for %d environments", envs), store, a.Graph, a.Inputs(envs)...)
	if err != nil {
		return nil, err
	}
	if a.programs == nil {
		a.programs = map[int]*Program{}
	}
	a.programs[envs] = p
	return p, nil
}

// refresh copies the weights where a copy acts and is older.
func (a *Acting) refresh() error {
	if a.copied == nil || !a.stale {
		return nil
	}
	values, err := Values(a.Learned, a.Reads)
	if err != nil {
		return err
	}
	a.stale = false
	return SetValues(a.copied, values)
}

// Library returns name and version of the library that traces programs: hashes of another one do not compare.
func Library() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/gomlx/gomlx" {
				return "gomlx " + d.Version
			}
		}
	}
	return "gomlx unknown"
}
