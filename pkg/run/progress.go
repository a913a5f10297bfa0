package run

import "time"

// Progress says where a running experiment stands.
type Progress struct {
	Dir            string
	Title          string // "dqn on takeout/mini-v4, seed 0"
	Backend        string // one line: backend, device, threads; "" until it is open
	Steps, Goal    int64  // joint steps
	Updates        int64
	Seconds        float64            // acting + stepping + updating, summed over resumptions
	StepsPerSecond float64            // lately
	Left           time.Duration      // estimated; 0 = not known yet
	Shares         map[string]float64 // of the time so far: "env", "act", "update", "evaluate", "compile", "save"; they sum to 1
	Note           string             // last line of the log: "compiling update …", a warning, "finished"
	Finished       bool
}
