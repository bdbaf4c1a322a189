package seal_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tyler-smith/go-bip39"
	"pgregory.net/rapid"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// testSecret is a secret that everybody knows.
func testSecret(n byte) seal.Secret {
	var s seal.Secret
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}

func testKeys(n byte) *seal.Keys {
	s := testSecret(n)
	return seal.NewKeys(s.Account(), s.Data())
}

// minter gives the dots of one replica in turn.
type minter struct{ dot record.Dot }

func (m *minter) Next() record.Dot {
	m.dot.Counter++
	return m.dot
}

func contact(m *minter) *record.Version {
	return record.Set(record.New(), []record.Edit{
		{Key: "VERSION", Line: []byte("VERSION:4.0"), Pos: 0},
		{Key: "UID", Line: []byte("UID:urn:uuid:3f2c9a10-5b7e-4d21-9c0e-7a1f5e8b6d34"), Pos: 1},
		{Key: "FN", Line: []byte("FN:Ada Example"), Pos: 2},
		{Key: "N", Line: []byte("N:Example;Ada;;;"), Pos: 3},
		{Key: "TEL.k3x9", Line: []byte("TEL;TYPE=cell:+45 20 12 34 56"), Pos: 4},
	}, m)
}

func testMinter() *minter {
	return &minter{record.Dot{Replica: record.ReplicaID{1, 2, 3, 4, 5, 6, 7, 8}}}
}

func TestSealAndOpen(t *testing.T) {
	k := testKeys(1)
	m := testMinter()
	v := contact(m)
	id := k.RecordID(record.Contacts, "urn:uuid:1")
	for _, v := range []*record.Version{v, record.Delete(v, m), record.Purge(v, m), record.New()} {
		for _, kind := range append([]record.Kind{"journeys"}, record.Kinds[:]...) {
			s, err := k.SealVersion(kind, id, v)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := k.SealVersion(kind, id, v)
			if !bytes.Equal(s.Header, again.Header) || !bytes.Equal(s.Body, again.Body) {
				t.Fatal("sealing twice gives different bytes")
			}
			o, err := k.OpenVersion(s)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := record.Encode(v)
			got, _ := record.Encode(o.Version)
			if o.Kind != kind || o.ID != id || !bytes.Equal(got, want) || o.VersionID != k.VersionID(kind, id, want) {
				t.Fatalf("opened %v", o)
			}
			h, err := seal.ParseHeader(s.Header)
			if err != nil || h.Dead() != v.Dead() || !h.Vector.Equal(v.Vector) || h.VersionID != o.VersionID {
				t.Fatalf("header %v: %v", h, err)
			}
		}
	}
}

func TestSealChunk(t *testing.T) {
	k := testKeys(1)
	for _, n := range []int{1, 31, 32, 33, 1024, 1025, 65535, 65536} {
		plain := bytes.Repeat([]byte{0xa5, 0}, n)[:n]
		s, err := k.SealChunk(plain)
		if err != nil {
			t.Fatal(err)
		}
		id, back, err := k.OpenChunk(s)
		if err != nil || id != k.ChunkID(plain) || !bytes.Equal(back, plain) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, 65537} {
		if _, err := k.SealChunk(make([]byte, n)); err == nil {
			t.Errorf("sealed a chunk of %d bytes", n)
		}
	}
}

func TestIdentity(t *testing.T) {
	s := testSecret(7)
	id, err := seal.NewIdentity(s, bytes.NewReader(bytes.Repeat([]byte{9}, 40)))
	if err != nil {
		t.Fatal(err)
	}
	b := id.Marshal()
	back, err := seal.ParseIdentity(b)
	if err != nil || back.Device() != id.Device() || back.Data != id.Data || back.Account != s.Account() {
		t.Fatal(err)
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := seal.ParseIdentity(bad); err != seal.ErrIdentity {
			t.Fatalf("byte %d changed, and it was read", i)
		}
		if _, err := seal.ParseIdentity(b[:i]); err != seal.ErrIdentity {
			t.Fatalf("cut at %d, and it was read", i)
		}
	}
	if _, err := seal.NewIdentity(s, bytes.NewReader(nil)); err == nil {
		t.Fatal("an identity without randomness")
	}
	if _, err := seal.NewSecret(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Fatal("a secret of 31 bytes")
	}
}

// TestCertify grows a chain to its limit, each device certifying the next.
func TestCertify(t *testing.T) {
	s := testSecret(7)
	id, err := seal.NewIdentity(s, bytes.NewReader(bytes.Repeat([]byte{1}, 40)))
	if err != nil {
		t.Fatal(err)
	}
	for n := byte(2); len(id.Chain) < seal.ChainMax; n++ {
		next := &seal.Identity{Account: id.Account, Data: id.Data, Seed: seal.DeviceSeed(bytes.Repeat([]byte{n}, 32))}
		if next.Chain, err = id.Certify(next.Device(), uint64(n)); err != nil {
			t.Fatal(err)
		}
		if err := seal.VerifyChain(s.Account(), next.Device(), next.Chain); err != nil {
			t.Fatalf("depth %d: %v", len(next.Chain), err)
		}
		id = next
	}
	if _, err := id.Certify(seal.DeviceKey{1}, 1); err == nil {
		t.Fatal("a chain above the limit")
	}
}

// TestWordsAgainstTheLibrary compares with go-bip39, which the program itself
// does not link.
func TestWordsAgainstTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := seal.Secret(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret"))
		want, err := bip39.NewMnemonic(s[:])
		if err != nil || s.Words() != want {
			t.Fatalf("words differ from the library's (%v)", err)
		}
		if back, err := seal.ParseWords(want); err != nil || back != s {
			t.Fatalf("parse: %v", err)
		}
	})
}

func TestOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"wss://Cloud.Example.org/path":    "wss://cloud.example.org:443",
		"https://cloud.example.org.:8443": "wss://cloud.example.org:8443",
		"ws://127.0.0.1:8080":             "ws://127.0.0.1:8080",
		"http://[::1]":                    "ws://[::1]:80",
		"ftp://x":                         "", "wss://": "", "wss://a:b@c": "", "cloud.example.org": "", "wss://x:y": "", "": "",
		"wss://" + strings.Repeat("a", 300): "",
	} {
		got, err := seal.Origin(address)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
}

func TestAccount(t *testing.T) {
	a := testSecret(1).Account()
	if back, err := seal.ParseAccount(a.String()); err != nil || back != a {
		t.Fatal(err)
	}
	for _, s := range []string{"", a.String()[1:], "zz" + a.String()[2:]} {
		if _, err := seal.ParseAccount(s); err == nil {
			t.Errorf("%q is an account", s)
		}
	}
}

// TestOpenFromManyGoroutines shares one Keys.
func TestOpenFromManyGoroutines(t *testing.T) {
	k, v := testKeys(1), contact(testMinter())
	want, err := k.SealVersion(record.Contacts, record.ID{1}, v)
	if err != nil {
		t.Fatal(err)
	}
	var g sync.WaitGroup
	for n := range 8 {
		kind := record.Kinds[n%len(record.Kinds)]
		g.Go(func() {
			for range 20 {
				s, err := k.SealVersion(kind, record.ID{1}, v)
				if err != nil || kind == record.Contacts && !bytes.Equal(s.Body, want.Body) {
					t.Errorf("%s: other bytes (%v)", kind, err)
				}
				if _, err := k.OpenVersion(s); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
			}
		})
	}
	g.Wait()
}

func FuzzParseHeader(f *testing.F) {
	k, v := testKeys(1), contact(testMinter())
	s, err := k.SealVersion(record.Contacts, record.ID{1}, v)
	if err != nil {
		f.Fatal(err)
	}
	c, _ := k.SealChunk([]byte{1})
	f.Add(s.Header)
	f.Add(c.Header)
	f.Fuzz(func(t *testing.T, b []byte) {
		seal.ParseChunkHeader(b)
		if h, err := seal.ParseHeader(b); err == nil && len(h.Vector) > record.VectorMax {
			t.Fatal("a header above a limit")
		}
		if c, err := seal.ParseCert(b); err == nil && !bytes.Equal(c.Marshal(), b) {
			t.Fatal("a certificate in another encoding")
		}
		seal.ParseIdentity(b)
	})
}

// TestTypicalSizes holds what a record costs on the wire: a real card and a
// real event of usual size, header and body together.
func TestTypicalSizes(t *testing.T) {
	for _, c := range []struct {
		kind  record.Kind
		text  string
		bytes int
	}{
		{record.Contacts, "VERSION:3.0 PRODID:-//Apple Inc.//iPhone OS 17.0//EN N:Example;Ada;;; FN:Ada_Example TEL;type=CELL;type=VOICE;type=pref:+4520123456 " +
			"EMAIL;type=INTERNET;type=HOME:ada@example.org BDAY:1970-01-31 REV:2026-11-22T10:15:00Z", 300},
		{record.Events, "VCALENDAR/VERSION:2.0 VCALENDAR/PRODID:-//Google_Inc//Google_Calendar_70.9054//EN UID:3f2c9a10-5b7e-4d21-9c0e-7a1f5e8b6d34 DTSTAMP:20261122T101500Z " +
			"DTSTART;TZID=Europe/Berlin:20261124T090000 DTEND;TZID=Europe/Berlin:20261124T100000 SUMMARY:Project_meeting LOCATION:Berlin STATUS:CONFIRMED SEQUENCE:0 TRANSP:OPAQUE", 300},
	} {
		var edits []record.Edit
		for i, l := range strings.Fields(c.text) {
			l = strings.ReplaceAll(l, "_", " ")
			key, _, _ := strings.Cut(l, ":")
			key, _, _ = strings.Cut(key, ";")
			l = strings.TrimPrefix(l, "VCALENDAR/")
			if key == "TEL" || key == "EMAIL" {
				key += ".k3x9a"
			}
			edits = append(edits, record.Edit{Key: key, Line: []byte(l), Pos: uint32(i)})
		}
		v := record.Set(record.New(), edits, testMinter())
		s, err := testKeys(1).SealVersion(c.kind, record.ID{1}, v)
		if err != nil {
			t.Fatal(err)
		}
		size := len(s.Header) + len(s.Body)
		t.Logf("%s: %d bytes of lines, %d sealed", c.kind, len(c.text), size)
		if size > c.bytes {
			t.Errorf("%s: %d bytes, more than %d", c.kind, size, c.bytes)
		}
	}
}

// TestStockZstdReadsOurFrames has the usual zstd program open a payload, so that a
// client in another language can. It needs the program on the path.
func TestStockZstdReadsOurFrames(t *testing.T) {
	program, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd program here")
	}
	dir := t.TempDir()
	m := testMinter()
	v := record.Set(contact(m), []record.Edit{{Key: "NOTE", Line: []byte("NOTE:" + strings.Repeat("time about the meeting next week, ", 8)), Pos: 5}}, m)
	want, err := record.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range record.Kinds {
		frame, dictionary := seal.Compress(kind, want)
		if dictionary == 0 {
			t.Fatalf("%s: not compressed", kind)
		}
		in := filepath.Join(dir, "frame.zst")
		if err := os.WriteFile(in, append([]byte{0x28, 0xb5, 0x2f, 0xfd}, frame...), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := exec.Command(program, "-q", "-d", "-c", "-D", filepath.Join("dict", string(kind)+".dict"), in).Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
