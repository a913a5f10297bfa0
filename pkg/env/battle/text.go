package battle

import (
	"fmt"
	"slices"
	"strings"
)

// The names of constants, as they stand in config.json and in files of Load.

func (p Profile) String() string { return nameOf(profiles, uint8(p)) }
func (a Attack) String() string  { return nameOf(attacks, uint8(a)) }
func (e Enemy) String() string   { return nameOf(enemies, uint8(e)) }
func (r Reward) String() string  { return nameOf(rewards, uint8(r)) }

func (p Profile) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
func (a Attack) MarshalText() ([]byte, error)  { return []byte(a.String()), nil }
func (e Enemy) MarshalText() ([]byte, error)   { return []byte(e.String()), nil }
func (r Reward) MarshalText() ([]byte, error)  { return []byte(r.String()), nil }

func (p *Profile) UnmarshalText(text []byte) error {
	return find((*uint8)(p), "Profile", profiles, text)
}
func (a *Attack) UnmarshalText(text []byte) error { return find((*uint8)(a), "Attack", attacks, text) }
func (e *Enemy) UnmarshalText(text []byte) error  { return find((*uint8)(e), "Enemy", enemies, text) }
func (r *Reward) UnmarshalText(text []byte) error { return find((*uint8)(r), "Reward", rewards, text) }

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprint(i)
}

func find(i *uint8, field string, names []string, text []byte) error {
	k := slices.Index(names, string(text))
	if k < 0 {
		return &unknownName{field, string(text), names}
	}
	*i = uint8(k)
	return nil
}

// unknownName is the error of a constant that has no such name.
type unknownName struct {
	field, text string
	names       []string
}

func (e *unknownName) Error() string {
	return fmt.Sprintf("field %q is %q, want %s", e.field, e.text, strings.Join(e.names, ", "))
}
