package takeout

// Published is a table of a paper: plain data that report.Published(…) takes over.
type Published struct {
	Source  string
	What    string      // what is counted, with its unit
	Over    string      // what the rows are
	Rows    []string    // quantities
	Columns []string    // settings
	Values  [][]float64 // [row][column]
	Note    string
	Spread  [][]float64 // [row][column] standard deviation over runs; nil = not given
}

// Table2 is table 2 of the paper: delivered/generated orders in percent, for each restaurant and on average,
// with the network for everybody (centralized) and one for each courier (decentralized).
func Table2() Published {
	return Published{
		Source: "Zhu, Diallo & Sugawara, ICAART 2020, table 2",
		What:   "completion rate, %",
		Over:   "restaurant",
		Rows:   []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "average"},
		Columns: []string{
			"centralized V=6", "centralized V=7", "centralized V=9",
			"decentralized V=6", "decentralized V=7", "decentralized V=9",
		},
		Values: [][]float64{
			{48.16, 73.52, 86.38, 11.81, 37.91, 54.60},
			{98.49, 98.12, 98.99, 75.30, 95.48, 96.56},
			{97.69, 97.80, 100.00, 69.39, 98.24, 99.26},
			{72.83, 89.69, 97.61, 22.78, 65.82, 76.95},
			{98.56, 98.62, 97.23, 78.17, 96.70, 97.10},
			{85.54, 95.78, 99.38, 38.50, 86.78, 95.63},
			{97.89, 95.48, 97.33, 73.14, 96.62, 98.70},
			{93.47, 98.48, 95.83, 78.46, 95.90, 98.82},
			{97.47, 95.91, 97.27, 47.54, 88.07, 96.01},
			{97.76, 99.49, 98.23, 61.30, 96.36, 97.12},
			{88.79, 94.29, 96.82, 55.64, 85.79, 91.08},
		},
		Note: "means of 3 runs × 5 episodes with ε = 0.1 after training; averages as printed",
	}
}
