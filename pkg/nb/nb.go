// Package nb shows runs and reports in a notebook, and is the only package that knows notebooks.
//
// It may end the program: each function prints a failure as one line and exits with status 1, so that no cell
// drops an error. Outside of a notebook (go run, go test) the same calls print text. In a process that Detach or a sweep
// has started, only the call it was started for does its work; the others return at once.
package nb

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/muster-marl/muster/pkg/report"
	"github.com/muster-marl/muster/pkg/run"
)

// exit ends the program; tests replace it.
var exit = os.Exit

// fail prints one line on standard error and ends the program with status 1.
func fail(err error) {
	fmt.Fprintln(os.Stderr, strings.Join(strings.Fields(err.Error()), " "))
	exit(1)
}

// Show displays reports: a figure as a picture, a table as HTML, and both as text where there is no notebook.
func Show(reports ...report.Report) {
	if dir, _ := run.Child(); dir != "" {
		return // a process that was started for other work
	}
	for _, r := range reports {
		f, err := newFrame(r)
		if err != nil {
			fail(err)
			return
		}
		display("", f, time.Minute)
	}
}

// Must returns v, or prints err as one line and ends the program.
func Must[T any](v T, err error) T {
	if err != nil {
		fail(err)
	}
	return v
}

// Table displays rows of cells under a header.
func Table(caption string, header []string, rows ...[]any) {
	Show(report.Table{Caption: caption, Header: header, Rows: rows})
}

// Save writes a report in the format that the path ends in (.png, .pdf, .html, .md, .csv, .tex, .txt). It makes
// the folders of the path, and replaces the file at once: nobody sees half of it.
func Save(r report.Report, path string) {
	if dir, _ := run.Child(); dir != "" {
		return
	}
	if err := save(r, path); err != nil {
		fail(err)
	}
}

func save(r report.Report, path string) error {
	format := strings.TrimPrefix(filepath.Ext(path), ".")
	if format == "" {
		return fmt.Errorf("nb: %q has no ending to tell the format, want one of .%s", path, strings.Join(r.Formats(), ", ."))
	}
	if format == "txt" {
		format = "text"
	}
	var b bytes.Buffer
	if err := r.Render(&b, format); err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("nb: %w", err)
	}
	f, err := os.CreateTemp(folder, ".save-*")
	if err != nil {
		return fmt.Errorf("nb: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(b.Bytes())
	for _, step := range []func() error{func() error { return f.Chmod(0o644) }, f.Close, func() error { return os.Rename(f.Name(), path) }} {
		if e := step(); err == nil {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("nb: %w", err)
	}
	return nil
}

// frame is one output in the forms that a notebook keeps.
type frame struct {
	text, html string
	png        []byte
	density    float64 // pixels of the picture per pixel of the screen
}

// newFrame renders a report as a picture or as HTML, and as text.
func newFrame(r report.Report) (frame, error) {
	f := frame{density: 2}
	if d, ok := r.(interface{ Density() float64 }); ok {
		f.density = d.Density()
	}
	for _, format := range []string{"png", "html", "text"} {
		if !slices.Contains(r.Formats(), format) || format != "text" && !isNotebook() {
			continue
		}
		var b bytes.Buffer
		if err := r.Render(&b, format); err != nil {
			return f, err
		}
		switch format {
		case "png":
			f.png = b.Bytes()
		case "html":
			f.html = b.String()
		case "text":
			f.text = strings.TrimRight(b.String(), "\n")
		}
	}
	return f, nil
}

// message is the frame as GoNB wants it. Figures are drawn at 192 dpi and shown at half their size, animations at less.
func (f frame) message(id string) *protocol.DisplayData {
	d := &protocol.DisplayData{DisplayID: id, Data: map[protocol.MIMEType]any{protocol.MIMETextPlain: f.text}}
	if f.html != "" {
		d.Data[protocol.MIMETextHTML] = f.html
	}
	if f.png != nil {
		d.Data[protocol.MIMEImagePNG] = base64.StdEncoding.EncodeToString(f.png)
		if c, err := png.DecodeConfig(bytes.NewReader(f.png)); err == nil {
			d.Metadata = map[string]any{"image/png": map[string]any{"width": int(float64(c.Width) / f.density), "height": int(float64(c.Height) / f.density)}}
		}
	}
	return d
}
