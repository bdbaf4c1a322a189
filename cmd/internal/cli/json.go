package cli

import (
	"bufio"
	"bytes"
	"encoding/json"

	"github.com/spf13/cobra"
)

// jsonFlag gives cmd the flag --json.
func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, for programs")
}

// printJSON prints v as indented JSON that is safe on a terminal.
func (a *app) printJSON(v any) error {
	b, err := marshalJSON(v, "")
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(append(b, '\n'))
	return err
}

// printJSONLine prints v as one line of JSON that is safe on a terminal.
func (a *app) printJSONLine(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := a.stdout.Write(escapeJSON(b.Bytes()))
	return err
}

// marshalJSON gives v as JSON, indented below prefix, HTML characters as they
// are, whatever is hostile to a terminal escaped.
func marshalJSON(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return escapeJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// jsonArray prints an array whose elements come one after another, so that a
// long list never stands in memory.
type jsonArray struct {
	w *bufio.Writer
	n int
}

func (j *jsonArray) add(v any) error {
	b, err := marshalJSON(v, "  ")
	if err != nil {
		return err
	}
	sep := ",\n  "
	if j.n == 0 {
		sep = "[\n  "
	}
	j.n++
	_, err = j.w.Write(append([]byte(sep), b...))
	return err
}

func (j *jsonArray) end() error {
	text := "\n]\n"
	if j.n == 0 {
		text = "[]\n"
	}
	if _, err := j.w.WriteString(text); err != nil {
		return err
	}
	return j.w.Flush()
}
