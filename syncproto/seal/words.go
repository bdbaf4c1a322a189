package seal

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode"
)

// WordCount is how many words show a secret.
const WordCount = 24

// english is the English list of BIP 39: 2,048 words of eleven bits, sorted,
// one a line. The list is in the code as one string, because the usual library
// builds nine languages and a map of them at every start of the program.
//
//go:embed english.txt
var english string

// Words returns the secret as 24 English words, separated by spaces: the
// entropy encoding of BIP 39 (256 bits and the first byte of their SHA-256).
func (s Secret) Words() string {
	sum := sha256.Sum256(s[:])
	return toWords(append(s[:len(s):len(s)], sum[0]))
}

// toWords shows bits as words of eleven bits each, separated by spaces.
func toWords(bits []byte) string {
	list := strings.Fields(english)
	words := make([]string, len(bits)*8/11)
	acc, have, next := uint32(0), 0, 0
	for i := range words {
		for have < 11 {
			acc, have, next = acc<<8|uint32(bits[next]), have+8, next+1
		}
		have -= 11
		words[i] = list[acc>>have&0x7ff]
	}
	return strings.Join(words, " ")
}

// WordsError says what is wrong with words that a person typed. It never
// repeats one.
type WordsError struct {
	Position int    // from 1: the word that is not in the list; 0 if it is not one word
	Problem  string // a sentence part, for example "is not one of the words in use"
}

func (e *WordsError) Error() string {
	if e.Position > 0 {
		return fmt.Sprintf("word %d %s", e.Position, e.Problem)
	}
	return e.Problem
}

// ParseWords reads 24 words in any case, with any spacing, punctuation and
// numbering. The error is a *WordsError.
func ParseWords(text string) (Secret, error) {
	var bits [len(Secret{}) + 1]byte
	if err := fromWords(text, bits[:]); err != nil {
		return Secret{}, err
	}
	s := Secret(bits[:len(Secret{})])
	if sum := sha256.Sum256(s[:]); sum[0] != bits[len(s)] {
		return Secret{}, &WordsError{Problem: errChecksum.Error()}
	}
	return s, nil
}

// fromWords reads what toWords wrote into bits. The error is a *WordsError.
func fromWords(text string, bits []byte) error {
	list := strings.Fields(english)
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	if want := len(bits) * 8 / 11; len(words) != want {
		return &WordsError{Problem: fmt.Sprintf("there are %d words, and it takes %d", len(words), want)}
	}
	acc, have, next := uint32(0), 0, 0
	for i, w := range words {
		w = strings.ToLower(w)
		n := sort.SearchStrings(list, w)
		if n == len(list) || list[n] != w {
			return &WordsError{i + 1, "is not one of the words in use"}
		}
		acc, have = acc<<11|uint32(n), have+11
		for have >= 8 {
			have -= 8
			bits[next] = byte(acc >> have)
			next++
		}
	}
	return nil
}

var errChecksum = errors.New("the words do not belong together: one is wrong, or two have changed places")
