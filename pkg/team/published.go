package team

import (
	"math"
	"slices"
	"strings"
)

// Published is a table of the paper: plain data that report.Published(…) takes over.
type Published struct {
	Source  string
	What    string      // what is counted, with its unit
	Over    string      // what the rows are
	Rows    []string    // quantities
	Columns []string    // settings
	Values  [][]float64 // [row][column]; NaN = not given
	Note    string
	Spread  [][]float64 // [row][column] standard deviation over runs
}

var none = math.NaN()

// printed is a row of a table: mean and standard deviation of each column.
type printed struct {
	name  string
	cells [8]float64
}

// Table1 is table 1 of the paper: win rates of all methods after 2 million steps, trained on 3 to 5 agents. Rows are
// "SZ: REFIL" and so on; scenarios ("SZ", "CSZ", "MMM") chooses those of some.
func Table1(scenarios ...string) Published {
	p := published("table 1", []printed{
		{"SZ: MIPI", [8]float64{0.659, 0.020, 0.453, 0.080, 0.404, 0.062, 0.276, 0.076}},
		{"SZ: REFIL", [8]float64{0.674, 0.038, 0.441, 0.103, 0.352, 0.078, 0.236, 0.103}},
		{"SZ: AQMIX", [8]float64{0.528, 0.044, 0.343, 0.105, 0.291, 0.084, 0.182, 0.058}},
		{"SZ: CollaQ", [8]float64{0.588, 0.030, 0.366, 0.086, 0.314, 0.076, 0.198, 0.097}},
		{"SZ: MAPPO", [8]float64{0.256, 0.010, 0.129, 0.019, 0.148, 0.031, 0.036, 0.015}},
		{"SZ: OOM*", [8]float64{0.624, 0.010, 0.531, 0.037, 0.442, 0.044, 0.364, 0.019}},
		{"SZ: SOM*", [8]float64{0.639, 0.007, 0.475, 0.049, 0.412, 0.041, 0.308, 0.022}},
		{"CSZ: MIPI", [8]float64{0.548, 0.032, 0.420, 0.102, 0.297, 0.112, 0.261, 0.090}},
		{"CSZ: REFIL", [8]float64{0.568, 0.027, 0.348, 0.057, 0.229, 0.053, 0.164, 0.060}},
		{"CSZ: AQMIX", [8]float64{0.509, 0.054, 0.323, 0.096, 0.216, 0.101, 0.152, 0.071}},
		{"CSZ: CollaQ", [8]float64{0.459, 0.061, 0.362, 0.130, 0.267, 0.099, 0.231, 0.095}},
		{"CSZ: MAPPO", [8]float64{0.248, 0.037, 0.120, 0.029, 0.060, 0.028, 0.054, 0.013}},
		{"CSZ: OOM*", [8]float64{0.534, 0.007, 0.399, 0.017, 0.317, 0.005, 0.329, 0.025}},
		{"CSZ: SOM*", [8]float64{0.539, 0.010, 0.486, 0.092, 0.283, 0.007, 0.181, 0.012}},
		{"MMM: MIPI", [8]float64{0.548, 0.023, 0.495, 0.054, 0.447, 0.041, 0.467, 0.067}},
		{"MMM: REFIL", [8]float64{0.605, 0.057, 0.437, 0.118, 0.329, 0.171, 0.224, 0.163}},
		{"MMM: AQMIX", [8]float64{0.501, 0.036, 0.447, 0.043, 0.344, 0.071, 0.251, 0.089}},
		{"MMM: CollaQ", [8]float64{0.589, 0.027, 0.513, 0.070, 0.423, 0.026, 0.286, 0.083}},
		{"MMM: MAPPO", [8]float64{0.289, 0.097, 0.320, 0.102, 0.250, 0.063, 0.275, 0.098}},
		{"MMM: OOM*", [8]float64{0.586, 0.016, 0.443, 0.045, 0.394, 0.021, 0.332, 0.093}},
		{"MMM: SOM*", [8]float64{0.498, 0.009, 0.318, 0.017, 0.219, 0.048, 0.165, 0.035}},
	})
	p.Note += ". Rows of MIPI, REFIL, AQMIX, CollaQ and MAPPO are those of MIPI's publication. OOM* and SOM* have the best number of leaders of each cell, " +
		"but for SOM* on SZ, whose row is that of 3 leaders although 2 give 0.490 with 6 agents (table 2)"
	if len(scenarios) == 0 {
		return p
	}
	p.Source += " (" + strings.Join(scenarios, ", ") + ")"
	all := p
	p.Rows, p.Values, p.Spread = nil, nil, nil
	for i, row := range all.Rows {
		if scenario, _, _ := strings.Cut(row, ":"); slices.Contains(scenarios, scenario) {
			p.Rows, p.Values, p.Spread = append(p.Rows, row), append(p.Values, all.Values[i]), append(p.Spread, all.Spread[i])
		}
	}
	return p
}

// Table2 is table 2 of the paper: win rates on SZ by the number of leaders.
func Table2() Published {
	return published("table 2", []printed{
		{"SZ: OOM, 2 leaders", [8]float64{0.624, 0.010, 0.531, 0.037, 0.442, 0.044, 0.329, 0.006}},
		{"SZ: OOM, 3 leaders", [8]float64{none, none, 0.478, 0.037, 0.433, 0.050, 0.345, 0.004}},
		{"SZ: OOM, 4 leaders", [8]float64{none, none, none, none, none, none, 0.364, 0.019}},
		{"SZ: SOM, 2 leaders", [8]float64{0.639, 0.007, 0.490, 0.038, 0.367, 0.039, 0.300, 0.018}},
		{"SZ: SOM, 3 leaders", [8]float64{none, none, 0.475, 0.049, 0.412, 0.041, 0.308, 0.022}},
		{"SZ: SOM, 4 leaders", [8]float64{none, none, none, none, none, none, 0.300, 0.013}},
	})
}

// Table3 is table 3 of the paper: win rates on CSZ by the number of leaders.
func Table3() Published {
	return published("table 3", []printed{
		{"CSZ: OOM, 2 leaders", [8]float64{0.534, 0.007, 0.399, 0.017, 0.317, 0.005, 0.297, 0.015}},
		{"CSZ: OOM, 3 leaders", [8]float64{none, none, 0.390, 0.020, 0.315, 0.017, 0.329, 0.025}},
		{"CSZ: OOM, 4 leaders", [8]float64{none, none, none, none, none, none, 0.321, 0.023}},
		{"CSZ: SOM, 2 leaders", [8]float64{0.539, 0.010, 0.387, 0.073, 0.267, 0.010, 0.173, 0.017}},
		{"CSZ: SOM, 3 leaders", [8]float64{none, none, 0.486, 0.092, 0.283, 0.007, 0.181, 0.012}},
		{"CSZ: SOM, 4 leaders", [8]float64{none, none, none, none, none, none, 0.173, 0.010}},
	})
}

// Table4 is table 4 of the paper: win rates on MMM by the number of leaders.
func Table4() Published {
	return published("table 4", []printed{
		{"MMM: OOM, 2 leaders", [8]float64{0.586, 0.016, 0.443, 0.045, 0.394, 0.021, 0.332, 0.093}},
		{"MMM: OOM, 3 leaders", [8]float64{none, none, 0.440, 0.040, 0.360, 0.031, 0.301, 0.091}},
		{"MMM: OOM, 4 leaders", [8]float64{none, none, none, none, none, none, 0.278, 0.090}},
		{"MMM: SOM, 2 leaders", [8]float64{0.498, 0.009, 0.318, 0.017, 0.219, 0.048, 0.165, 0.035}},
		{"MMM: SOM, 3 leaders", [8]float64{none, none, 0.305, 0.017, 0.199, 0.039, 0.159, 0.028}},
		{"MMM: SOM, 4 leaders", [8]float64{none, none, none, none, none, none, 0.140, 0.035}},
	})
}

func published(table string, rows []printed) Published {
	p := Published{
		Source:  "Moslemi & Lee, arXiv 2506.20039, " + table,
		What:    "win rate",
		Over:    "method",
		Columns: []string{"training 3–5", "6 agents", "7 agents", "8 agents"},
		Note:    "The paper's are means ± standard deviations over 5 seeds after 2 million steps in StarCraft II, of a number of episodes that it does not give",
	}
	for _, r := range rows {
		var mean, deviation []float64
		for i := range p.Columns {
			mean, deviation = append(mean, r.cells[2*i]), append(deviation, r.cells[2*i+1])
		}
		p.Rows, p.Values, p.Spread = append(p.Rows, r.name), append(p.Values, mean), append(p.Spread, deviation)
	}
	return p
}
