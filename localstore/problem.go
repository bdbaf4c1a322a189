package localstore

import (
	"errors"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// problemsMax is how many problems are kept; older ones go.
const problemsMax = 100

// problem stores what was found and survived. The same one about the same
// record is stored once.
func (t *tx) problem(code, text string, id *record.ID) error {
	var about any
	if id != nil {
		about = id.String()
	}
	t.s.Log.Warn("store: "+text, "code", code, "record", about)
	err := errors.Join(
		t.exec("DELETE FROM problem WHERE code = ? AND text = ? AND id IS ?", code, text, about),
		t.exec("INSERT INTO problem (at, code, text, id) VALUES (?, ?, ?, ?)", t.s.Now().Unix(), code, text, about),
		t.exec("DELETE FROM problem WHERE n <= (SELECT max(n) FROM problem) - ?", problemsMax))
	if err != nil {
		return fmt.Errorf("store problem: %w", err)
	}
	return nil
}

func (c *session) problems() ([]Problem, error) {
	var list []Problem
	err := c.each(func(scan func(...any) error) error {
		var p Problem
		var at int64
		var id *string
		if err := scan(&at, &p.Code, &p.Text, &id); err != nil {
			return err
		}
		p.At = time.Unix(at, 0)
		if id != nil {
			if about, err := record.ParseID(*id); err == nil {
				p.ID = &about
			}
		}
		list = append(list, p)
		return nil
	}, "SELECT at, code, text, id FROM problem ORDER BY n")
	return list, err
}
