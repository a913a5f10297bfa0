package takeout

// Completion is a row of a table of delivered/generated orders in percent.
type Completion struct {
	Method      string      // "centralized" or "decentralized"
	View        int         // V
	Restaurants [10]float64 // by id, from 1
	Average     float64     // as printed
}

// Published returns table 2 of Zhu, Diallo and Sugawara (ICAART 2020, DOI 10.5220/0009160102870294): means of
// 3 runs × 5 episodes with ε = 0.1 after training.
func Published() []Completion {
	return []Completion{
		{"centralized", 6, [10]float64{48.16, 98.49, 97.69, 72.83, 98.56, 85.54, 97.89, 93.47, 97.47, 97.76}, 88.79},
		{"centralized", 7, [10]float64{73.52, 98.12, 97.80, 89.69, 98.62, 95.78, 95.48, 98.48, 95.91, 99.49}, 94.29},
		{"centralized", 9, [10]float64{86.38, 98.99, 100.00, 97.61, 97.23, 99.38, 97.33, 95.83, 97.27, 98.23}, 96.82},
		{"decentralized", 6, [10]float64{11.81, 75.30, 69.39, 22.78, 78.17, 38.50, 73.14, 78.46, 47.54, 61.30}, 55.64},
		{"decentralized", 7, [10]float64{37.91, 95.48, 98.24, 65.82, 96.70, 86.78, 96.62, 95.90, 88.07, 96.36}, 85.79},
		{"decentralized", 9, [10]float64{54.60, 96.56, 99.26, 76.95, 97.10, 95.63, 98.70, 98.82, 96.01, 97.12}, 91.08},
	}
}
