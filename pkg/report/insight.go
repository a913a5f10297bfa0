package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Scores returns the movie with what agents thought of each other beside the picture, as it was recorded when they
// chose: row i holds what agent i thought of the others. Numbers of rows and columns have the hues of the agents' groups.
func (m Movie) Scores() Movie {
	return m.each(func(c *clip) {
		if c.err == nil && len(c.episode.Scores) == 0 {
			c.err = fmt.Errorf("report: the episode on %s has no scores: its method has none, or it was recorded before they were kept", c.episode.World)
		}
		if c.err == nil {
			c.matrix, c.heading = c.scores, "what rows think of columns"
		}
	})
}

// scores is the matrix of a moment, without the agents behind the last that has any score. After the last choice it stays.
func (c *clip) scores(t int) [][]float64 {
	flat := c.episode.Scores[min(t, len(c.episode.Scores)-1)]
	n, here := int(math.Sqrt(float64(len(flat)))), 0
	for p, x := range flat {
		if x == x {
			here = max(here, p/n+1, p%n+1)
		}
	}
	rows := make([][]float64, here)
	for i := range rows {
		for _, x := range flat[i*n : i*n+here] {
			rows[i] = append(rows[i], float64(x))
		}
	}
	return rows
}

// groups are those of a moment, nil if none were recorded. After the last choice they stay.
func (c *clip) groups(t int) []int32 {
	if len(c.episode.Groups) == 0 {
		return nil
	}
	return c.episode.Groups[min(t, len(c.episode.Groups)-1)]
}

// groupsInWords lists the agents of each group: "0: 0 2 5, 1: 1 3 4".
func groupsInWords(groups []int32) string {
	var list []string
	for g := range int32(len(groups)) {
		agents := ""
		for a, of := range groups {
			if of == g {
				agents += " " + strconv.Itoa(a)
			}
		}
		if agents != "" {
			list = append(list, fmt.Sprintf("%d:%s", g, agents))
		}
	}
	return strings.Join(list, ", ")
}
