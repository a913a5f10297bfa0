package battle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// mostBytes of a scenario are far more than any needs.
const mostBytes = 1 << 20

// Load reads a scenario: a World as JSON, with the fields' names as keys and Open's values for what is not there.
// An error names the line and the field, or the constant that cannot be.
//
//	{"Name": "duel", "Limit": 100,
//	 "Allies":  [{"X":  9, "Y": 16, "Units": [{"Unit": "stalker", "N": 2}]}],
//	 "Enemies": [{"X": 23, "Y": 16, "Units": [{"Unit": "ogre", "N": 1}]}],
//	 "Units": [{"Name": "ogre", "HP": 300, "Damage": 20, "Hits": 1, "Cooldown": 1, "Range": 0.1,
//	            "Speed": 2, "Radius": 0.8, "Sight": 9, "Scan": 5, "HitsGround": true}]}
func Load(r io.Reader) (World, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return World{}, fmt.Errorf("battle: the scenario cannot be read: %w", err)
	}
	if len(data) > mostBytes {
		return World{}, fmt.Errorf("battle: the scenario has more than %d bytes", mostBytes)
	}
	w := Open("", 0)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return World{}, explain(data, err)
	}
	if d.More() {
		return World{}, fmt.Errorf("battle: line %d of the scenario: more after its end", line(data, d.InputOffset()))
	}
	if _, err := w.build(); err != nil {
		return World{}, err
	}
	return w, nil
}

// LoadFile reads a scenario from a file.
func LoadFile(path string) (World, error) {
	f, err := os.Open(path)
	if err != nil {
		return World{}, fmt.Errorf("battle: %w", err)
	}
	defer f.Close()
	w, err := Load(f)
	if err != nil {
		return World{}, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

var unknownField = regexp.MustCompile(`unknown field ("[^"]*")`)

// explain adds the line to an error of encoding/json, which knows no more than an offset.
func explain(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var name *unknownName
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("battle: line %d of the scenario: it ends too early", line(data, int64(len(data))))
	case errors.As(err, &syntax):
		return fmt.Errorf("battle: line %d of the scenario: %v", line(data, syntax.Offset), syntax)
	case errors.As(err, &kind):
		return fmt.Errorf("battle: line %d of the scenario: field %q is a %s, want %s", line(data, kind.Offset), kind.Field, kind.Value, kind.Type)
	case errors.As(err, &name):
		return fmt.Errorf("battle: line %d of the scenario: %v", line(data, int64(bytes.Index(data, []byte(`"`+name.text+`"`)))), name)
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("battle: line %d of the scenario: there is no field %s", line(data, int64(bytes.Index(data, []byte(m[1])))), m[1])
	}
	return fmt.Errorf("battle: the scenario: %v", err)
}

// line is the number of the line in which an offset lies.
func line(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}
