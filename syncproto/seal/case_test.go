package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"sidekeep/localstore/record"
)

// The cases of the security rules that are this package's, by their numbers.

func sealedPerson(t *testing.T, k *Keys) Sealed {
	t.Helper()
	v, _ := person()
	s, err := k.SealVersion(record.Contacts, record.ID{5}, v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openCopy opens a chunk whose sealed form is needed again.
func openCopy(k *Keys, s Sealed) error {
	_, _, err := k.OpenChunk(Sealed{s.Header, bytes.Clone(s.Body)})
	return err
}

func TestCase01HeaderFlip(t *testing.T) {
	s := secretOf(1)
	k := NewKeys(s.Account(), s.Data())
	chunk, err := k.SealChunk([]byte("a chunk of some bytes"))
	if err != nil {
		t.Fatal(err)
	}
	openVersion := func(s Sealed) error { _, err := k.OpenVersion(s); return err }
	openChunk := func(s Sealed) error { return openCopy(k, s) }
	for name, c := range map[string]struct {
		sealed Sealed
		open   func(Sealed) error
	}{"version": {sealedPerson(t, k), openVersion}, "chunk": {chunk, openChunk}} {
		if err := c.open(c.sealed); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		try := func(what string, i int, s Sealed) {
			if err := c.open(s); err != ErrOpen {
				t.Errorf("%s with byte %d of the %s changed: %v", name, i, what, err)
			}
		}
		for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
			for i := range c.sealed.Header {
				h := bytes.Clone(c.sealed.Header)
				h[i] ^= mask
				try("header", i, Sealed{h, c.sealed.Body})
			}
			for i := range c.sealed.Body {
				b := bytes.Clone(c.sealed.Body)
				b[i] ^= mask
				try("body", i, Sealed{c.sealed.Header, b})
			}
		}
		for i := range c.sealed.Header {
			try("cut header", i, Sealed{c.sealed.Header[:i], c.sealed.Body})
		}
		for i := range c.sealed.Body {
			try("cut body", i, Sealed{c.sealed.Header, c.sealed.Body[:i]})
		}
		try("longer header", 0, Sealed{append(bytes.Clone(c.sealed.Header), 0), c.sealed.Body})
		try("longer body", 0, Sealed{c.sealed.Header, append(bytes.Clone(c.sealed.Body), 0)})
	}
}

func TestCase02Transplant(t *testing.T) {
	one, two := secretOf(1), secretOf(2)
	k, other := NewKeys(one.Account(), one.Data()), NewKeys(two.Account(), two.Data())
	v, m := person()
	seal := func(k *Keys, kind record.Kind, id record.ID, v *record.Version) Sealed {
		s, err := k.SealVersion(kind, id, v)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	base := seal(k, record.Contacts, record.ID{1}, v)
	refuse := func(name string, k *Keys, s Sealed) {
		if _, err := k.OpenVersion(s); err != ErrOpen {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The body of one under the header of another.
	for name, s := range map[string]Sealed{
		"between records":  seal(k, record.Contacts, record.ID{2}, v),
		"between kinds":    seal(k, record.Tasks, record.ID{1}, v),
		"between accounts": seal(other, record.Contacts, record.ID{1}, v),
		"between versions": seal(k, record.Contacts, record.ID{1}, record.Set(v, []record.Edit{{Key: "FN", Line: []byte("FN:Adb Example"), Pos: 1}}, m)),
	} {
		refuse(name, k, Sealed{s.Header, base.Body})
		refuse(name, k, Sealed{base.Header, s.Body})
	}
	refuse("to another account", other, base)
	// The same data keys under another account id: the id is authenticated, too.
	refuse("to an account id with the same keys", NewKeys(two.Account(), one.Data()), base)

	chunk, err := k.SealChunk(bytes.Repeat([]byte{1}, 40))
	if err != nil {
		t.Fatal(err)
	}
	refuse("a chunk as a version", k, chunk)
	refuse("a chunk's body under a version's header", k, Sealed{base.Header, chunk.Body})
	for name, s := range map[string]Sealed{"a version as a chunk": base, "a version's body under a chunk's header": {chunk.Header, base.Body}} {
		if err := openCopy(k, s); err != ErrOpen {
			t.Errorf("%s: %v", name, err)
		}
	}
	second, _ := k.SealChunk(bytes.Repeat([]byte{2}, 40))
	if err := openCopy(k, chunk); err != nil {
		t.Errorf("the chunk itself: %v", err)
	}
	if err := openCopy(k, Sealed{second.Header, chunk.Body}); err != ErrOpen {
		t.Errorf("between chunks: %v", err)
	}
	if err := openCopy(other, chunk); err != ErrOpen {
		t.Errorf("a chunk to another account: %v", err)
	}
}

// TestCase20Bomb seals what would unpack to 4 GiB of zeros with the account's
// own keys: it does not open, and costs little.
func TestCase20Bomb(t *testing.T) {
	f := newForger(t)
	repeated := func(blocks int) (b []byte) { // blocks of 128 KiB of zeros, four bytes each
		for i := range blocks {
			head := 128<<10<<3 | 1<<1
			if i == blocks-1 {
				head |= 1
			}
			b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
		}
		return b
	}
	const blocks = 4 << 30 / (128 << 10)
	bombs := map[string][]byte{
		"4 GiB, said so":              append([]byte{0xe1, dictContacts, 0, 0, 0, 0, 1, 0, 0, 0}, repeated(blocks)...),
		"4 GiB, said 200 KiB":         append([]byte{0xa1, dictContacts, 0, 0x20, 3, 0}, repeated(blocks)...),
		"4 GiB, said nothing":         append([]byte{0x01, 0x58, dictContacts}, repeated(blocks)...),
		"a window of 2 GiB":           append([]byte{0x81, 0xa8, dictContacts, 0, 1, 0, 0}, repeated(1)...),
		"over the limit by one block": append([]byte{0xa1, dictContacts, 0, 0, 4, 0}, repeated(2)...),
		"a skippable frame of 4 GiB":  {0xff, 0xff, 0xff, 0xff},
		"nothing":                     {},
	}
	for name, payload := range bombs {
		s := f.with(dictContacts, f.encoded, payload, nil)
		if _, err := f.k.OpenVersion(s); err != ErrOpen { // also fills the pools
			t.Errorf("%s: %v", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const times = 8
		for range times {
			f.k.OpenVersion(s)
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 3<<20 {
			t.Errorf("%s: %d KiB allocated each time", name, each>>10)
		}
	}
	// The header alone bounds what is read at all.
	h := f.header
	h.Length = VersionLengthMax + 1
	if _, err := ParseHeader(h.marshal()); err != ErrHeader {
		t.Error("a longer body than any version has")
	}
}

func FuzzDecompress(f *testing.F) {
	v, _ := person()
	encoded, err := record.Encode(v)
	if err != nil {
		f.Fatal(err)
	}
	for _, kind := range record.Kinds {
		payload, dictionary := compress(kind, encoded)
		f.Add(dictionary, payload)
	}
	f.Fuzz(func(t *testing.T, dictionary uint64, payload []byte) {
		if dictionary == dictNone {
			return
		}
		if out, ok := decompress(dictionary, payload); ok && len(out) > record.EncodedBytesMax {
			t.Fatalf("%d bytes", len(out))
		}
	})
}

// TestCase22KeysOutOfReach looks for key bytes in everything that leaves the
// package for a file, a cloud, a log or a screen.
func TestCase22KeysOutOfReach(t *testing.T) {
	secret := secretOf(40)
	d := secret.Data()
	random := make([]byte, 40)
	for i := range random {
		random[i] = byte(200 - 3*i)
	}
	id, err := NewIdentity(secret, bytes.NewReader(random))
	if err != nil {
		t.Fatal(err)
	}
	k := id.Keys()
	keys := map[string][]byte{"S": secret[:], "D": d[:], "device seed": id.Seed[:], "root seed": secret.Root().Seed()}
	for _, l := range []string{labelSealVersion, labelSealChunk, labelNonce, labelIDRecord, labelIDVersion, labelIDChunk, labelBackup} {
		keys[l] = derive(d[:], l)
	}
	v, _ := person()
	sealed, err := k.SealVersion(record.Contacts, record.ID{1}, v)
	if err != nil {
		t.Fatal(err)
	}
	chunk, _ := k.SealChunk([]byte("chunk"))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret, "data", d, "keys", k, "identity", id, "seed", id.Seed)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret, "data", d, "keys", k, "identity", id, "seed", id.Seed)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d"} {
		fmt.Fprintf(&log, verb+"\n", secret)
		fmt.Fprintf(&log, verb+"\n", []any{&secret, d, &d, k, id, id.Seed, *id, struct{ S Secret }{secret}})
	}
	asJSON, err := json.Marshal([]any{secret, d, id.Seed, map[string]any{"s": secret}})
	if err != nil {
		t.Fatal(err)
	}
	_, opening := k.OpenVersion(Sealed{sealed.Header, chunk.Body})
	_, words := ParseWords(strings.Replace(secret.Words(), " ", "x ", 1))
	outputs := map[string][]byte{
		"sealed version": append(bytes.Clone(sealed.Header), sealed.Body...), "sealed chunk": append(bytes.Clone(chunk.Header), chunk.Body...),
		"certificate": id.Chain[0].Marshal(), "auth": append(AuthMessage(AuthInput{Account: id.Account, Device: id.Device()}), id.Authenticate(AuthInput{})...),
		"log": log.Bytes(), "JSON": asJSON, "error of opening": []byte(opening.Error()), "error of words": []byte(words.Error()),
		"back-up passphrase": nil,
	}
	for where, out := range outputs {
		for name, key := range keys {
			if holds(out, key) {
				t.Errorf("%s holds %s", where, name)
			}
		}
		for _, w := range strings.Fields(secret.Words()) {
			if strings.HasPrefix(where, "error") && strings.Contains(string(out), w) {
				t.Errorf("%s repeats a word", where)
			}
		}
	}
	// The identity file holds what the device needs, and neither S nor the root.
	file := id.Marshal()
	if holds(file, secret[:]) || holds(file, secret.Root().Seed()) {
		t.Error("the identity file holds the secret or the root")
	}
	if !holds(file, d[:]) || len(secret.Root()) != ed25519.PrivateKeySize {
		t.Error("this test does not find what it looks for")
	}
}

// holds looks for 8 bytes of key in a row, raw or in the usual text forms.
func holds(out, key []byte) bool {
	for i := 0; i+8 <= len(key); i++ {
		part := key[i : i+8]
		for _, form := range [][]byte{part, []byte(hex.EncodeToString(part)), []byte(strings.ToUpper(hex.EncodeToString(part))),
			[]byte(strings.Trim(fmt.Sprint(part), "[]")), []byte(base64.RawStdEncoding.EncodeToString(part)[:10])} {
			if bytes.Contains(out, form) {
				return true
			}
		}
	}
	return false
}
