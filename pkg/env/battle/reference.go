package battle

// Measured is what battles of a script came to.
type Measured struct{ WinRate, Length float64 }

// Reference is what a script reached elsewhere, in battles of at most 150 steps.
type Reference struct {
	Family   string // "sz", "csz", "mmm"
	Sizes    []int
	Script   string   // "near", "focus"
	SMAClite Measured // 60 battles: win rates ± 0.06 (standard error)
	Lite     Measured // 300 battles: ± 0.03
	SC2      Measured // 300 battles: ± 0.03
}

// References are win rates and mean lengths of scripts in the families. SMAClite: measured with its code (commit
// 0d6abbe), its unit files and its collision avoidance, the families emulated on an open map, healers alone counted
// as lost. Lite and SC2: a first implementation of the rules of this package, made apart from it.
func References() []Reference {
	trained := []int{3, 4, 5}
	return []Reference{
		{"sz", trained, "near", Measured{0.37, 40}, Measured{0.44, 40}, Measured{0.48, 56}},
		{"sz", trained, "focus", Measured{0.22, 39}, Measured{0.32, 41}, Measured{0.39, 59}},
		{"sz", []int{6}, "near", Measured{0.38, 46}, Measured{0.37, 46}, Measured{0.44, 66}},
		{"sz", []int{6}, "focus", Measured{0.20, 42}, Measured{0.24, 45}, Measured{0.29, 66}},
		{"sz", []int{7}, "near", Measured{0.42, 48}, Measured{0.44, 48}, Measured{0.51, 69}},
		{"sz", []int{7}, "focus", Measured{0.15, 46}, Measured{0.24, 48}, Measured{0.33, 70}},
		{"sz", []int{8}, "near", Measured{0.25, 52}, Measured{0.35, 51}, Measured{0.49, 72}},
		{"sz", []int{8}, "focus", Measured{0.10, 47}, Measured{0.22, 50}, Measured{0.31, 72}},
		{"csz", trained, "near", Measured{0.37, 45}, Measured{0.51, 41}, Measured{0.51, 59}},
		{"csz", trained, "focus", Measured{0.33, 49}, Measured{0.40, 43}, Measured{0.38, 59}},
		{"csz", []int{6}, "near", Measured{0.37, 50}, Measured{0.51, 45}, Measured{0.46, 64}},
		{"csz", []int{6}, "focus", Measured{0.37, 52}, Measured{0.38, 45}, Measured{0.43, 64}},
		{"csz", []int{7}, "near", Measured{0.43, 56}, Measured{0.51, 47}, Measured{0.49, 66}},
		{"csz", []int{7}, "focus", Measured{0.38, 59}, Measured{0.39, 48}, Measured{0.42, 64}},
		{"csz", []int{8}, "near", Measured{0.40, 63}, Measured{0.50, 48}, Measured{0.52, 65}},
		{"csz", []int{8}, "focus", Measured{0.45, 65}, Measured{0.44, 49}, Measured{0.41, 66}},
		{"mmm", trained, "near", Measured{0.37, 31}, Measured{0.38, 27}, Measured{0.45, 42}},
		{"mmm", trained, "focus", Measured{0.40, 34}, Measured{0.50, 31}, Measured{0.54, 45}},
		{"mmm", []int{6}, "near", Measured{0.40, 34}, Measured{0.40, 33}, Measured{0.47, 48}},
		{"mmm", []int{6}, "focus", Measured{0.45, 36}, Measured{0.51, 35}, Measured{0.62, 49}},
		{"mmm", []int{7}, "near", Measured{0.50, 41}, Measured{0.41, 37}, Measured{0.44, 55}},
		{"mmm", []int{7}, "focus", Measured{0.45, 42}, Measured{0.48, 39}, Measured{0.58, 56}},
		{"mmm", []int{8}, "near", Measured{0.57, 44}, Measured{0.41, 41}, Measured{0.58, 61}},
		{"mmm", []int{8}, "focus", Measured{0.43, 43}, Measured{0.53, 42}, Measured{0.57, 62}},
	}
}
