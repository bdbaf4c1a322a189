package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sidekeep/localstore/record"
)

// The golden vectors of testdata/seal, which another implementation can check
// itself against. They are made by this code with -update; whoever changes one
// changes the format.
var update = flag.Bool("update", false, "write the golden vectors anew")

// golden compares made with the file, or writes it, and reads the file into read.
func golden(t *testing.T, name string, made, read any) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "seal", name)
	b, err := json.MarshalIndent(made, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("%s: this code makes other vectors", name)
	}
	if err := json.Unmarshal(want, read); err != nil {
		t.Fatal(err)
	}
}

const (
	opens    = "opens"
	doesNot  = "does not open"
	verifies = "verifies"
	refused  = "refused"
)

func secretOf(n byte) Secret {
	var s Secret
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type counting struct{ dot record.Dot }

func (c *counting) Next() record.Dot {
	c.dot.Counter++
	return c.dot
}

// person is a small contact, and the dots of its writer.
func person() (*record.Version, *counting) {
	m := &counting{record.Dot{Replica: record.ReplicaID{1, 2, 3, 4, 5, 6, 7, 8}}}
	return record.Set(record.New(), []record.Edit{
		{Key: "VERSION", Line: []byte("VERSION:4.0"), Pos: 0},
		{Key: "FN", Line: []byte("FN:Ada Example"), Pos: 1},
		{Key: "TEL.k3x9a", Line: []byte("TEL;TYPE=cell:+45 20 12 34 56"), Pos: 2},
		{Key: "PHOTO", Line: []byte("PHOTO;ENCODING=b;TYPE=JPEG:"), Pos: 3, Blob: &record.Blob{Size: 70000, Chunks: []record.ChunkID{{9}, {4}}}},
	}, m), m
}

func TestGoldenKeys(t *testing.T) {
	type id struct{ Kind, UID, ID string }
	type vectors struct {
		Secret, Words, Account, Data, Backup string
		Derived                              map[string]string
		Records                              []id
		Versions                             []struct{ Kind, Record, Encoding, ID string }
		Chunks                               []struct{ Plain, ID string }
	}
	var all []vectors
	for _, n := range []byte{0, 1, 200} {
		s := secretOf(n)
		if n == 0 {
			s = Secret{}
		}
		d := s.Data()
		k := NewKeys(s.Account(), d)
		v := vectors{Secret: hex.EncodeToString(s[:]), Words: s.Words(), Account: s.Account().String(), Data: hex.EncodeToString(d[:]),
			Backup: k.BackupPassphrase(), Derived: map[string]string{}}
		for _, l := range []string{labelSealVersion, labelSealChunk, labelNonce, labelIDRecord, labelIDVersion, labelIDChunk, labelBackup} {
			v.Derived[l] = hex.EncodeToString(derive(d[:], l))
		}
		for _, u := range []id{{"contacts", "", ""}, {"contacts", "urn:uuid:1", ""}, {"events", "urn:uuid:1", ""}, {"contactsu", "rn:uuid:1", ""}} {
			u.ID = k.RecordID(record.Kind(u.Kind), u.UID).String()
			v.Records = append(v.Records, u)
		}
		p, _ := person()
		enc, err := record.Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		rid := k.RecordID("contacts", "urn:uuid:1")
		v.Versions = append(v.Versions, struct{ Kind, Record, Encoding, ID string }{"contacts", rid.String(), hex.EncodeToString(enc), k.VersionID("contacts", rid, enc).String()})
		for _, c := range [][]byte{{0}, []byte("a chunk")} {
			v.Chunks = append(v.Chunks, struct{ Plain, ID string }{hex.EncodeToString(c), k.ChunkID(c).String()})
		}
		all = append(all, v)
	}
	var read []vectors
	golden(t, "keys.json", all, &read)
	for _, v := range read {
		s, err := ParseWords(v.Words)
		if err != nil || hex.EncodeToString(s[:]) != v.Secret || s.Account().String() != v.Account {
			t.Errorf("words of %s: %v", v.Secret, err)
		}
	}
}

func TestGoldenWords(t *testing.T) {
	type vector struct{ Name, Text, Outcome string }
	good := secretOf(3).Words()
	words := bytes.Fields([]byte(good))
	swapped := slices.Clone(words)
	swapped[3], swapped[17] = swapped[17], swapped[3]
	numbered := ""
	for i, w := range words {
		numbered += string(rune('0'+(i+1)/10)) + string(rune('0'+(i+1)%10)) + ". " + string(bytes.ToUpper(w)) + "\r\n"
	}
	join := func(w [][]byte) string { return string(bytes.Join(w, []byte(" "))) }
	made := []vector{
		{"as shown", good, opens},
		{"upper case", string(bytes.ToUpper([]byte(good))), opens},
		{"numbered, a line each", numbered, opens},
		{"commas and tabs", string(bytes.Join(words, []byte(",\t"))), opens},
		{"a word short", join(words[:23]), refused},
		{"a word more", good + " abandon", refused},
		{"a word that is not in the list", join(words[:23]) + " sidekeep", refused},
		{"two words changed places", join(swapped), refused},
		{"wrong checksum", join(words[:23]) + " zoo", refused},
		{"nothing", "", refused},
	}
	var read []vector
	golden(t, "words.json", made, &read)
	for _, v := range read {
		s, err := ParseWords(v.Text)
		if got := map[bool]string{true: opens, false: refused}[err == nil]; got != v.Outcome {
			t.Errorf("%s: %s (%v)", v.Name, got, err)
		}
		if err == nil && s != secretOf(3) {
			t.Errorf("%s: another secret", v.Name)
		}
		for _, w := range words {
			if err != nil && len(w) > 4 && bytes.Contains([]byte(err.Error()), w) {
				t.Errorf("%s: the error repeats a word", v.Name)
			}
		}
	}
}

// sealedVector is one sealed version or chunk and what becomes of it.
type sealedVector struct {
	Name         string
	Header, Body string
	Outcome      string
	Kind, Record string `json:",omitempty"` // of a version that opens
	Encoding     string `json:",omitempty"`
	Plain        string `json:",omitempty"` // of a chunk that opens
}

// forger makes sealed versions that only the account's own key can make, and
// that break one rule each.
type forger struct {
	k       *Keys
	id      record.ID
	encoded []byte
	rest    []byte // of encoded, behind what the header has
	header  Header
}

func newForger(t *testing.T) *forger {
	v, _ := person()
	enc, err := record.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	s := secretOf(1)
	f := &forger{k: NewKeys(s.Account(), s.Data()), id: record.ID{5}, encoded: enc}
	f.rest = enc[len(record.Head(v.Vector)):]
	f.header = Header{Format: FormatVersion, Kind: record.Contacts, ID: f.id, Vector: v.Vector, Chunks: v.Chunks()}
	return f
}

// with seals payload under a header that change has had its way with.
func (f *forger) with(dictionary uint64, encoded, payload []byte, change func(*Header)) Sealed {
	body := pad(payload, nil)
	h := f.header
	h.Dictionary, h.Length = dictionary, len(body)-nonceTailBytes
	h.VersionID = f.k.VersionID(h.Kind, h.ID, encoded)
	if change != nil {
		change(&h)
	}
	return f.k.seal(f.k.version, contextVersion, h.VersionID, h.marshal(), body)
}

// plainly seals a frame of the forger's own.
func (f *forger) plainly(plain []byte) Sealed {
	h := f.header
	h.Length = len(plain)
	h.VersionID = f.k.VersionID(h.Kind, h.ID, f.encoded)
	return f.k.seal(f.k.version, contextVersion, h.VersionID, h.marshal(), append(make([]byte, nonceTailBytes), plain...))
}

func TestGoldenSealedVersions(t *testing.T) {
	f := newForger(t)
	var made []sealedVector
	add := func(name, outcome string, s Sealed) {
		made = append(made, sealedVector{Name: name, Header: hex.EncodeToString(s.Header), Body: hex.EncodeToString(s.Body), Outcome: outcome})
	}
	v, m := person()
	for _, c := range []struct {
		name string
		kind record.Kind
		v    *record.Version
	}{
		{"contact", record.Contacts, v},
		{"tombstone", record.Contacts, record.Delete(v, m)},
		{"purged", record.Tasks, record.Purge(record.Delete(v, m), m)},
		{"empty", record.Events, record.New()},
		{"unknown kind", "journeys", v},
	} {
		s, err := f.k.SealVersion(c.kind, f.id, c.v)
		if err != nil {
			t.Fatal(err)
		}
		add(c.name, opens, s)
		enc, _ := record.Encode(c.v)
		last := &made[len(made)-1]
		last.Kind, last.Record, last.Encoding = string(c.kind), f.id.String(), hex.EncodeToString(enc)
	}
	good := f.with(0, f.encoded, f.rest, nil)
	add("stored without compression", opens, good)
	last := &made[len(made)-1]
	last.Kind, last.Record, last.Encoding = "contacts", f.id.String(), hex.EncodeToString(f.encoded)

	frame, dictionary := compress(record.Contacts, f.rest)
	other, _ := compress(record.Events, f.rest)
	add("any dictionary for any kind", opens, f.with(dictEvents, f.encoded, other, nil))
	last = &made[len(made)-1]
	last.Kind, last.Record, last.Encoding = "contacts", f.id.String(), hex.EncodeToString(f.encoded)

	bad := func(name string, s Sealed) { add(name, doesNot, s) }
	bad("wrong version id", f.with(0, f.encoded, f.rest, func(h *Header) { h.VersionID[0]++ }))
	bad("wrong vector", f.with(0, f.encoded, f.rest, func(h *Header) { h.Vector = record.Vector{{1}: 99} }))
	bad("called dead", f.with(0, f.encoded, f.rest, func(h *Header) { h.Flags = FlagDead }))
	bad("unknown flag", f.with(0, f.encoded, f.rest, func(h *Header) { h.Flags = 2 }))
	bad("a chunk left out", f.with(0, f.encoded, f.rest, func(h *Header) { h.Chunks = h.Chunks[:1] }))
	bad("format 1", f.with(0, f.encoded, f.rest, func(h *Header) { h.Format = 1 }))
	bad("format 3", f.with(0, f.encoded, f.rest, func(h *Header) { h.Format = 3 }))
	bad("the vector in the payload, too", f.with(0, f.encoded, f.encoded, nil))
	bad("wrong length", f.with(0, f.encoded, f.rest, func(h *Header) { h.Length += 32 }))
	bad("unknown dictionary", f.with(6, f.encoded, frame, nil))
	bad("frame of another dictionary", f.with(dictionary+1, f.encoded, frame, nil))
	bad("two frames", f.with(dictionary, f.encoded, slices.Concat(frame, []byte(frameMagic), frame), nil))
	bad("a skippable frame behind", f.with(dictionary, f.encoded, slices.Concat(frame, []byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}), nil))
	bad("frame cut short", f.with(dictionary, f.encoded, frame[:len(frame)-1], nil))
	bad("not canonical", f.with(0, append(bytes.Clone(f.encoded), 0), append(bytes.Clone(f.rest), 0), nil))
	bad("more padding than the rule gives", f.plainly(append(append([]byte{byte(padded(len(f.rest)) - len(f.rest) + 32)}, f.rest...), make([]byte, padded(len(f.rest))-len(f.rest)+32)...)))
	dirty := pad(f.rest, nil)[nonceTailBytes:]
	dirty[len(dirty)-1] = 1
	bad("padding that is not zero", f.plainly(dirty))
	ad := f.k.associated(contextVersion, good.Header)
	id := f.k.VersionID(record.Contacts, f.id, f.encoded)
	tail := bytes.Repeat([]byte{7}, nonceTailBytes)
	bad("another nonce", Sealed{good.Header, f.k.version.Seal(bytes.Clone(tail), append(id[:], tail...), pad(f.rest, nil)[nonceTailBytes:], ad)})
	bad("a nonce of another id", f.k.seal(f.k.version, contextVersion, [16]byte{1}, good.Header, pad(f.rest, nil)))
	bad("a number in a longer form", f.k.seal(f.k.version, contextVersion, id, append([]byte{0x80 | FormatVersion, 0}, good.Header[1:]...), pad(f.rest, nil)))
	bad("a known kind by its name", f.k.seal(f.k.version, contextVersion, id, slices.Concat(good.Header[:1], []byte{0, 8}, []byte("contacts"), good.Header[2:]), pad(f.rest, nil)))
	bad("header too long", f.k.seal(f.k.version, contextVersion, id, append(bytes.Clone(good.Header), 0), pad(f.rest, nil)))
	bad("body cut short", Sealed{good.Header, good.Body[:len(good.Body)-1]})
	bad("no body", Sealed{good.Header, nil})
	bad("no header", Sealed{nil, good.Body})

	var read []sealedVector
	golden(t, "versions.json", made, &read)
	for _, c := range read {
		o, err := f.k.OpenVersion(Sealed{unhex(t, c.Header), unhex(t, c.Body)})
		if c.Outcome == doesNot {
			if err != ErrOpen {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		enc, _ := record.Encode(o.Version)
		if string(o.Kind) != c.Kind || o.ID.String() != c.Record || hex.EncodeToString(enc) != c.Encoding {
			t.Errorf("%s: opened as %s %s", c.Name, o.Kind, o.ID)
		}
	}
}

func TestGoldenSealedChunks(t *testing.T) {
	f := newForger(t)
	var made []sealedVector
	add := func(name, outcome string, s Sealed, plain []byte) {
		made = append(made, sealedVector{Name: name, Header: hex.EncodeToString(s.Header), Body: hex.EncodeToString(s.Body), Outcome: outcome, Plain: hex.EncodeToString(plain)})
	}
	seal := func(plain []byte) Sealed {
		s, err := f.k.SealChunk(plain)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, n := range []int{1, 32, 33, 1025} {
		plain := bytes.Repeat([]byte{0xa5}, n)
		add("bytes a5", opens, seal(plain), plain)
	}
	zeros := make([]byte, 100)
	add("zeros", opens, seal(zeros), zeros)
	with := func(plain []byte, h ChunkHeader) Sealed {
		return f.k.seal(f.k.chunk, contextChunk, h.ID, h.marshal(), pad(plain, nil))
	}
	add("wrong id", doesNot, with(zeros, ChunkHeader{FormatVersion, record.ChunkID{1}, len(pad(zeros, nil)) - nonceTailBytes}), nil)
	add("format 1", doesNot, with(zeros, ChunkHeader{1, f.k.ChunkID(zeros), len(pad(zeros, nil)) - nonceTailBytes}), nil)
	add("empty", doesNot, with(nil, ChunkHeader{FormatVersion, f.k.ChunkID(nil), len(pad(nil, nil)) - nonceTailBytes}), nil)
	big := make([]byte, ChunkBytes+1)
	s := with(big, ChunkHeader{FormatVersion, f.k.ChunkID(big), len(pad(big, nil)) - nonceTailBytes})
	if _, _, err := f.k.OpenChunk(s); err != ErrOpen {
		t.Error("a chunk over the limit opens")
	}
	var read []sealedVector
	golden(t, "chunks.json", made, &read)
	for _, c := range read {
		_, plain, err := f.k.OpenChunk(Sealed{unhex(t, c.Header), unhex(t, c.Body)})
		if c.Outcome == opens && (err != nil || hex.EncodeToString(plain) != c.Plain) || c.Outcome == doesNot && err != ErrOpen {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func deviceKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32))
}

func public(k ed25519.PrivateKey) DeviceKey { return DeviceKey(k.Public().(ed25519.PublicKey)) }

func TestGoldenCertificates(t *testing.T) {
	s, o := secretOf(1), secretOf(2)
	account := s.Account()
	chain := func(n int) []Cert { // root -> 1 -> 2 -> ... -> n
		issuer := s.Root()
		var cs []Cert
		for i := 1; i <= n; i++ {
			cs = append(cs, SignCert(issuer, account, public(deviceKey(byte(i))), uint64(i)))
			issuer = deviceKey(byte(i))
		}
		return cs
	}
	changed := func(n int, change func([]Cert)) []Cert {
		cs := chain(n)
		change(cs)
		return cs
	}
	type vector struct {
		Name, Account, Device string
		Chain                 []string
		Outcome               string
	}
	var made []vector
	add := func(name string, device byte, cs []Cert, outcome string) {
		v := vector{Name: name, Account: account.String(), Device: public(deviceKey(device)).String(), Outcome: outcome}
		for _, c := range cs {
			v.Chain = append(v.Chain, hex.EncodeToString(c.Marshal()))
		}
		made = append(made, v)
	}
	add("by the root", 1, chain(1), verifies)
	add("by a device", 2, chain(2), verifies)
	add("depth 8", 8, chain(8), verifies)
	add("depth 9", 9, chain(9), refused)
	add("nothing", 1, nil, refused)
	add("another device", 2, chain(1), refused)
	add("a link left out", 3, changed(3, func(cs []Cert) { cs[1] = cs[2] })[:2], refused)
	add("links in another order", 2, changed(2, func(cs []Cert) { cs[0], cs[1] = cs[1], cs[0] }), refused)
	add("signature changed", 1, changed(1, func(cs []Cert) { cs[0].Signature[10] ^= 1 }), refused)
	add("serial changed", 1, changed(1, func(cs []Cert) { cs[0].Serial++ }), refused)
	add("device changed", 2, changed(1, func(cs []Cert) { cs[0].Device = public(deviceKey(2)) }), refused)
	add("of another account", 1, []Cert{SignCert(o.Root(), o.Account(), public(deviceKey(1)), 1)}, refused)
	add("another root, this account", 1, []Cert{SignCert(o.Root(), account, public(deviceKey(1)), 1)}, refused)
	add("by itself", 1, []Cert{SignCert(deviceKey(1), account, public(deviceKey(1)), 1)}, refused)

	var read []vector
	golden(t, "certificates.json", made, &read)
	for _, v := range read {
		a, _ := ParseAccount(v.Account)
		var cs []Cert
		for _, c := range v.Chain {
			p, err := ParseCert(unhex(t, c))
			if err != nil || !bytes.Equal(p.Marshal(), unhex(t, c)) {
				t.Fatalf("%s: %v", v.Name, err)
			}
			cs = append(cs, p)
		}
		err := VerifyChain(a, DeviceKey(unhex(t, v.Device)), cs)
		if got := map[bool]string{true: verifies, false: refused}[err == nil]; got != v.Outcome {
			t.Errorf("%s: %s", v.Name, got)
		}
	}
	good := chain(1)[0].Marshal()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if c, err := ParseCert(bad); err == nil && VerifyChain(account, public(deviceKey(1)), []Cert{c}) == nil {
			t.Errorf("certificate with byte %d changed is good", i)
		}
		if _, err := ParseCert(good[:i]); err != ErrCert {
			t.Errorf("certificate cut at %d is read", i)
		}
	}
}

func TestGoldenAuthentication(t *testing.T) {
	id := &Identity{Account: secretOf(1).Account(), Seed: DeviceSeed(bytes.Repeat([]byte{1}, 32))}
	in := AuthInput{DeviceNonce: [32]byte{1}, CloudNonce: [32]byte{2}, Account: id.Account, Device: id.Device(), Replica: record.ReplicaID{3},
		Token: [16]byte{4}, Transcript: Transcript([]byte("hello"), []byte("challenge")), Origin: "wss://cloud.example.org:443"}
	type vector struct{ Message, Device, Signature string }
	made := vector{hex.EncodeToString(AuthMessage(in)), in.Device.String(), hex.EncodeToString(id.Authenticate(in))}
	var read vector
	golden(t, "authentication.json", made, &read)
	sig := unhex(t, read.Signature)
	if !VerifyAuth(in, sig) {
		t.Fatal("the signature does not verify")
	}
	for name, change := range map[string]func(*AuthInput){
		"device nonce": func(a *AuthInput) { a.DeviceNonce[0]++ }, "cloud nonce": func(a *AuthInput) { a.CloudNonce[0]++ },
		"account": func(a *AuthInput) { a.Account[0]++ }, "device": func(a *AuthInput) { a.Device = public(deviceKey(9)) },
		"replica": func(a *AuthInput) { a.Replica[0]++ }, "token": func(a *AuthInput) { a.Token[0]++ },
		"transcript": func(a *AuthInput) { a.Transcript[0]++ }, "origin": func(a *AuthInput) { a.Origin = "wss://other.example.org:443" },
	} {
		bad := in
		change(&bad)
		if VerifyAuth(bad, sig) {
			t.Errorf("%s changed, and it verifies", name)
		}
	}
	if VerifyAuth(in, sig[:63]) || VerifyAuth(in, nil) {
		t.Error("a short signature verifies")
	}
}
