package run

import (
	"encoding/json"
	"strconv"
	"unsafe"
)

// decode reads one line of eval.jsonl. Lines as Dir writes them take a tenth of the time that encoding/json needs, and a page of
// curves reads ten thousands of them; anything else about a line is left to encoding/json, so that both mean the same.
func (e *Evaluation) decode(line []byte) error {
	s := scanner{data: line}
	var fast Evaluation
	if s.evaluation(&fast) && s.end() {
		*e = fast
		return nil
	}
	return json.Unmarshal(line, e)
}

// scanner reads JSON without escapes and repeated names. Each method returns false where it meets something else; what was
// read is then void.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) && (s.data[s.at] == ' ' || s.data[s.at] == '\t' || s.data[s.at] == '\n' || s.data[s.at] == '\r') {
		s.at++
	}
}

func (s *scanner) end() bool {
	s.space()
	return s.at == len(s.data)
}

// is consumes c, with space around it.
func (s *scanner) is(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text is a string of printable ASCII.
func (s *scanner) text() (string, bool) {
	if !s.is('"') {
		return "", false
	}
	from := s.at
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return string(s.data[from : s.at-1]), true
		case c < ' ' || c == '\\' || c > '~':
			return "", false
		}
	}
	return "", false
}

// number finds the end of a number of JSON's grammar; whole says that it is an integer.
func (s *scanner) number() (text string, whole, ok bool) {
	s.space()
	from := s.at
	digits := func() bool {
		first := s.at
		for s.at < len(s.data) && s.data[s.at]-'0' <= 9 {
			s.at++
		}
		return s.at > first
	}
	next := func(c ...byte) bool {
		for _, one := range c {
			if s.at < len(s.data) && s.data[s.at] == one {
				s.at++
				return true
			}
		}
		return false
	}
	next('-')
	if !next('0') && !digits() {
		return "", false, false
	}
	whole = true
	if next('.') {
		if whole = false; !digits() {
			return "", false, false
		}
	}
	if next('e', 'E') {
		whole = false
		next('+', '-')
		if !digits() {
			return "", false, false
		}
	}
	if from == s.at {
		return "", false, false
	}
	return unsafe.String(&s.data[from], s.at-from), whole, true // parsed at once and not kept
}

func (s *scanner) float() (float64, bool) {
	text, _, ok := s.number()
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}

func (s *scanner) integer() (int64, bool) {
	text, whole, ok := s.number()
	if !ok || !whole {
		return 0, false
	}
	v, err := strconv.ParseInt(text, 10, 64)
	return v, err == nil
}

// null consumes the word, which leaves a list or a map nil.
func (s *scanner) null() bool {
	s.space()
	if len(s.data)-s.at >= 4 && string(s.data[s.at:s.at+4]) == "null" {
		s.at += 4
		return true
	}
	return false
}

// list reads [a, b, …].
func list[T any](s *scanner, one func() (T, bool), guess int) ([]T, bool) {
	if s.null() {
		return nil, true
	}
	if !s.is('[') {
		return nil, false
	}
	out := make([]T, 0, guess)
	if s.is(']') {
		return out, true
	}
	for {
		v, ok := one()
		if !ok {
			return nil, false
		}
		out = append(out, v)
		if s.is(']') {
			return out, true
		}
		if !s.is(',') {
			return nil, false
		}
	}
}

// object reads {"a": …, …}: field reads the value of a name, and must refuse one that it has read.
func (s *scanner) object(field func(name string) bool) bool {
	if !s.is('{') {
		return false
	}
	if s.is('}') {
		return true
	}
	for {
		name, ok := s.text()
		if !ok || !s.is(':') || !field(name) {
			return false
		}
		if s.is('}') {
			return true
		}
		if !s.is(',') {
			return false
		}
	}
}

func (s *scanner) evaluation(e *Evaluation) bool {
	seen := 0
	return s.object(func(name string) (ok bool) {
		guess := max(0, min(e.Episodes, len(s.data)/2)) // no more than fit into the line
		var n int64
		bit := 0
		switch name {
		case "steps":
			bit = 1
			e.Steps, ok = s.integer()
		case "updates":
			bit = 2
			e.Updates, ok = s.integer()
		case "seconds":
			bit = 4
			e.Seconds, ok = s.float()
		case "stream":
			bit = 8
			e.Stream, ok = s.text()
		case "cell":
			bit = 16
			e.Cell, ok = s.text()
		case "world":
			bit = 32
			e.World, ok = s.text()
		case "episodes":
			bit = 64
			n, ok = s.integer()
			e.Episodes = int(n)
		case "outcomes":
			bit = 128
			if ok = s.null(); ok {
				break
			}
			e.Outcomes = map[string]int{}
			ok = s.object(func(name string) bool {
				_, twice := e.Outcomes[name]
				n, ok := s.integer()
				e.Outcomes[name] = int(n)
				return ok && !twice
			})
		case "returns":
			bit = 256
			e.Returns, ok = list(s, s.float, guess)
		case "lengths":
			bit = 512
			e.Lengths, ok = list(s, func() (int, bool) { n, ok := s.integer(); return int(n), ok }, guess)
		case "metrics":
			bit = 1024
			if ok = s.null(); ok {
				break
			}
			e.Metrics = map[string][]float64{}
			ok = s.object(func(name string) bool {
				_, twice := e.Metrics[name]
				values, ok := list(s, s.float, guess)
				e.Metrics[name] = values
				return ok && !twice
			})
		}
		ok = ok && seen&bit == 0
		seen |= bit
		return ok
	})
}
