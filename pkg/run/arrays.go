package run

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Array is one tensor of a safetensors file: Data is []float32, []int32, []int64, []uint64 or []byte.
type Array struct {
	Shape []int
	Data  any
}

type arrayHead struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

const maxArrayHeader = 100 << 20 // the limit of the format's own reader

// WriteArrays writes arrays in the safetensors format (an 8-byte length, a JSON header, the data little
// endian), which Python reads. Equal arrays give equal bytes.
func WriteArrays(w io.Writer, arrays map[string]Array) error {
	names := make([]string, 0, len(arrays))
	for n := range arrays {
		names = append(names, n)
	}
	slices.Sort(names)
	head, at := map[string]arrayHead{}, int64(0)
	for _, n := range names {
		dtype := arrayType(arrays[n].Data)
		if dtype == "" {
			return fmt.Errorf("run: array %q has type %T, want []float32, []int32, []int64, []uint64 or []byte", n, arrays[n].Data)
		}
		if want := volume(arrays[n].Shape); want != arrayLen(arrays[n].Data) {
			return fmt.Errorf("run: array %q has %d values, its shape %v wants %d", n, arrayLen(arrays[n].Data), arrays[n].Shape, want)
		}
		end := at + int64(arrayLen(arrays[n].Data)*arrayWidths[dtype])
		head[n] = arrayHead{dtype, append([]int{}, arrays[n].Shape...), [2]int64{at, end}}
		at = end
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	if err := binary.Write(w, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, n := range names {
		if err := binary.Write(w, binary.LittleEndian, arrays[n].Data); err != nil {
			return err
		}
	}
	return nil
}

// ReadArrays reads a safetensors file. A truncated or inconsistent one is an error, never a wrong number.
func ReadArrays(r io.Reader) (map[string]Array, error) {
	var size uint64
	if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
		return nil, fmt.Errorf("run: arrays: no header: %w", err)
	}
	if size > maxArrayHeader {
		return nil, fmt.Errorf("run: arrays: a header of %d bytes, want at most %d", size, maxArrayHeader)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, fmt.Errorf("run: arrays: the header is cut off: %w", err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("run: arrays: header: %w", err)
	}
	head, names := map[string]arrayHead{}, []string{}
	for n, m := range raw {
		var h arrayHead
		if n == "__metadata__" {
			continue
		}
		if err := json.Unmarshal(m, &h); err != nil {
			return nil, fmt.Errorf("run: arrays: header of %q: %w", n, err)
		}
		head[n], names = h, append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { // empty arrays share an offset: by name
		if d := head[a].Offsets[0] - head[b].Offsets[0]; d != 0 {
			return int(d)
		}
		return int(head[a].Offsets[1] - head[b].Offsets[1])
	})
	out, at := map[string]Array{}, int64(0)
	for _, n := range names {
		h := head[n]
		width := arrayWidths[h.DType]
		if k := volume(h.Shape); width == 0 || k < 0 || h.Offsets[0] != at || h.Offsets[1] != at+int64(k*width) {
			return nil, fmt.Errorf("run: arrays: %q (%s, shape %v) at bytes %v does not fit, want it to begin at %d", n, h.DType, h.Shape, h.Offsets, at)
		}
		var data bytes.Buffer // grows as bytes arrive: a header that promises too much costs no memory
		if _, err := io.CopyN(&data, r, h.Offsets[1]-at); err != nil {
			return nil, fmt.Errorf("run: arrays: %q is cut off: %w", n, err)
		}
		out[n], at = Array{h.Shape, decodeArray(h.DType, data.Bytes())}, h.Offsets[1]
	}
	return out, nil
}

func arrayType(data any) string {
	switch data.(type) {
	case []float32:
		return "F32"
	case []int32:
		return "I32"
	case []int64:
		return "I64"
	case []uint64:
		return "U64"
	case []byte:
		return "U8"
	}
	return ""
}

var arrayWidths = map[string]int{"F32": 4, "I32": 4, "I64": 8, "U64": 8, "U8": 1}

func decodeArray(dtype string, data []byte) any {
	n := len(data) / arrayWidths[dtype]
	var out any
	switch dtype {
	case "F32":
		out = make([]float32, n)
	case "I32":
		out = make([]int32, n)
	case "I64":
		out = make([]int64, n)
	case "U64":
		out = make([]uint64, n)
	case "U8":
		return data
	}
	if _, err := binary.Decode(data, binary.LittleEndian, out); err != nil {
		panic(err) // the length fits by construction
	}
	return out
}

func arrayLen(data any) int {
	switch d := data.(type) {
	case []float32:
		return len(d)
	case []int32:
		return len(d)
	case []int64:
		return len(d)
	case []uint64:
		return len(d)
	case []byte:
		return len(d)
	}
	return 0
}

// volume is the number of values of a shape, or −1 if it cannot be (negative, or more than memory).
func volume(shape []int) int {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/8/d {
			return -1
		}
		n *= d
	}
	return n
}
