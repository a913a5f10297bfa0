package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Files writes a report beside each other in all formats that it has, so that the numbers lie beside the figure: base.png,
// base.pdf, base.csv, base.json, base.txt and so on. It makes the folders of base and returns the names of the files.
func Files(r Report, base string) ([]string, error) {
	if err := os.MkdirAll(filepath.Dir(base), 0o777); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var names []string
	for _, format := range r.Formats() {
		var b bytes.Buffer
		if err := r.Render(&b, format); err != nil {
			return names, err
		}
		name := base + "." + format
		if format == "text" {
			name = base + ".txt"
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			return names, fmt.Errorf("report: %w", err)
		}
		names = append(names, name)
	}
	return names, nil
}
