package team

import (
	"fmt"
	"regexp"
	"strings"
)

// A family's world is called "battle/sz-3-5-l2": family, sizes, leaders, clock. A cell is called "6-l2", or "6" without
// leaders.
var (
	familyName = regexp.MustCompile(`^battle/(.+?)-(\d+)(?:-(\d+))?(?:-l(\d+))?(?:-([a-z]\w*))?$`)
	cellName   = regexp.MustCompile(`^(\d+)(?:-l(\d+))?$`)
)

// titles are the paper's names of methods. Its baselines have no leaders.
var titles = map[string]string{
	"oom": "OOM", "som": "SOM", "refil": "REFIL", "aqmix": "AQMIX", "collaq": "CollaQ", "mappo": "MAPPO",
}

// ByLeaders says where a cell of a run's final evaluation stands in tables 2 to 4: row "SZ: OOM, 2 leaders", column
// "6 agents"; cell "" is the world that the run was trained on. A method of other names keeps its own; without leaders
// its row is "SZ: REFIL". A world that is no family of battles stands nowhere: the column is "".
func ByLeaders(method, world, cell string) (row, column string) {
	row, leaders, column := place(method, world, cell)
	if leaders != "" {
		row += ", " + leaders + " leaders"
	}
	return row, column
}

// ByMethod is ByLeaders for table 1, in whose rows numbers of leaders fall together: "SZ: OOM*".
func ByMethod(method, world, cell string) (row, column string) {
	row, leaders, column := place(method, world, cell)
	if leaders != "" {
		row += "*"
	}
	return row, column
}

func place(method, world, cell string) (row, leaders, column string) {
	w := familyName.FindStringSubmatch(world)
	if w == nil {
		return method, "", ""
	}
	if title, ok := titles[method]; ok {
		method = title
	}
	row, leaders, column = fmt.Sprintf("%s: %s", strings.ToUpper(w[1]), method), w[4], "training "+w[2]
	if w[5] != "" {
		row = fmt.Sprintf("%s (%s): %s", strings.ToUpper(w[1]), w[5], method)
	}
	if w[3] != "" {
		column += "–" + w[3]
	}
	if cell == "" {
		return row, leaders, column
	}
	c := cellName.FindStringSubmatch(cell)
	if c == nil {
		return row, "", ""
	}
	return row, c[2], c[1] + " agents"
}
