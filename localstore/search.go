package localstore

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"sidekeep/localstore/pim"
)

// searchWordsMax is how many words of a query count.
const searchWordsMax = 16

// Search returns living records of all kinds whose text holds every word of
// text, or a word that begins with it, whatever the case and the accents; best
// first, records that changed just now before all others.
func (s *Store) Search(ctx context.Context, text string, limit int) (found []Record, err error) {
	words := searchWords(text)
	if len(words) == 0 || limit <= 0 {
		return nil, nil
	}
	err = s.read(ctx, func(c *session) error {
		stale, err := c.rowsOf("JOIN stale s ON s.n = r.n WHERE r.deleted = 0 ORDER BY r.n DESC")
		if err != nil {
			return err
		}
		for _, r := range stale {
			fields, err := r.fields(r.kind)
			if err != nil || !matches(pim.ColumnsOf(r.kind, fields).Text, words) {
				continue
			}
			rec, err := s.record(r)
			if err != nil {
				return err
			}
			found = append(found, rec)
		}
		if len(found) >= limit {
			found = found[:limit]
			return nil
		}
		rows, err := c.rowsOf(`JOIN (SELECT rowid AS m, rank FROM fulltext WHERE fulltext MATCH ?1) ON m = r.n
 WHERE r.deleted = 0 AND NOT EXISTS (SELECT 1 FROM stale WHERE stale.n = r.n) ORDER BY rank, r.n LIMIT ?2`, matchQuery(words), limit-len(found))
		if err != nil {
			return err
		}
		for _, r := range rows {
			rec, err := s.record(r)
			if err != nil {
				return err
			}
			found = append(found, rec)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

// matchQuery asks FTS5 for rows that have every word as the beginning of one.
// Words have letters and digits only, so quoting them is enough.
func matchQuery(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(" AND ")
		}
		b.WriteString(`"` + w + `"*`)
	}
	return b.String()
}

// searchWords divides text as FTS5's unicode61 does: folded, at everything that
// is neither letter nor digit.
func searchWords(text string) []string {
	words := strings.FieldsFunc(fold(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Co, r)
	})
	if len(words) > searchWordsMax {
		words = words[:searchWordsMax]
	}
	return words
}

// fold takes case and accents away.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(text))
}

// matches reports whether every word is the beginning of one of text's.
func matches(text string, words []string) bool {
	folded := strings.FieldsFunc(fold(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Co, r)
	})
	for _, w := range words {
		ok := false
		for _, f := range folded {
			if strings.HasPrefix(f, w) {
				ok = true
				break
			}
		}
		if !ok {
			return false
		}
	}
	return true
}
