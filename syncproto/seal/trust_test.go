package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// family is an account whose root and devices 1, 2, ... say things about each
// other. Device 0 is the root.
type family struct {
	secret Secret
	signed map[string]Statement // signing takes most of a random test's time
}

func newFamily() family { return family{secretOf(1), map[string]Statement{}} }

func (f family) once(name string, sign func() Statement) Statement {
	if _, ok := f.signed[name]; !ok {
		f.signed[name] = sign()
	}
	return f.signed[name]
}

func (f family) cert(issuer, device byte, serial uint64) Statement {
	return f.once(fmt.Sprint("cert", issuer, device, serial), func() Statement {
		c := SignCert(f.key(issuer), f.secret.Account(), public(deviceKey(device)), serial)
		return Statement{Cert: &c}
	})
}

func (f family) revoke(issuer byte, serial uint64, devices ...byte) Statement {
	return f.once(fmt.Sprint("revoke", issuer, devices, serial), func() Statement {
		var keys []DeviceKey
		for _, d := range devices {
			keys = append(keys, public(deviceKey(d)))
		}
		r := SignRevoke(f.key(issuer), f.secret.Account(), keys, serial)
		return Statement{Revoke: &r}
	})
}

func (f family) moved(issuer byte, at uint64) Statement {
	return f.once(fmt.Sprint("moved", issuer, at), func() Statement {
		m := SignMoved(f.key(issuer), f.secret.Account(), at)
		return Statement{Moved: &m}
	})
}

func (f family) key(n byte) ed25519.PrivateKey {
	if n == 0 {
		return f.secret.Root()
	}
	return deviceKey(n)
}

func (f family) set(statements ...Statement) *Statements {
	s := NewStatements(f.secret.Account())
	s.Add(statements...)
	return s
}

// trusted lists the numbers of the devices that a set trusts.
func trusted(s *Statements) string {
	var out []byte
	for d := byte(1); d < 20; d++ {
		if s.Trust().Trusted(public(deviceKey(d))) {
			out = append(out, d)
		}
	}
	return fmt.Sprint(out)
}

// TestGoldenStatements has the rules of SPEC.md "Statements", one a case.
func TestGoldenStatements(t *testing.T) {
	f := newFamily()
	type standing struct {
		Device  string
		Trusted bool
		Rank    int
		By      string
	}
	type vector struct {
		Name, Account string
		Statements    []string
		Digest        string
		Devices       []standing
		Moved         string `json:",omitempty"` // who moved, and when
	}
	moved := func(s *Statements) string {
		m := s.Moved()
		if m == nil {
			return ""
		}
		return fmt.Sprint(m.Issuer, " ", m.At)
	}
	var made []vector
	add := func(name, want string, statements ...Statement) {
		s := NewStatements(f.secret.Account())
		s.Add(statements...)
		if got := trusted(s); got != want {
			t.Errorf("%s: trusted are %s, not %s", name, got, want)
		}
		digest := s.Digest()
		v := vector{Name: name, Account: f.secret.Account().String(), Digest: hex.EncodeToString(digest[:]), Moved: moved(s)}
		for _, st := range statements {
			v.Statements = append(v.Statements, hex.EncodeToString(st.Marshal()))
		}
		for _, d := range s.Trust().Devices() {
			by := d.By()
			v.Devices = append(v.Devices, standing{d.Device.String(), d.Trusted, d.Rank, hex.EncodeToString(by[:])})
		}
		made = append(made, v)
	}
	one, two, three := f.cert(0, 1, 1), f.cert(0, 2, 2), f.cert(1, 3, 3)
	add("nothing", "[]")
	add("by the words", "[1]", one)
	add("invited", "[1 3]", one, three)
	add("the invited before who invited it", "[1 3]", three, one)
	add("invited by nobody", "[]", three)
	add("depth 8", "[1 2 3 4 5 6 7 8]", one, f.cert(1, 2, 1), f.cert(2, 3, 1), f.cert(3, 4, 1), f.cert(4, 5, 1), f.cert(5, 6, 1), f.cert(6, 7, 1), f.cert(7, 8, 1), f.cert(8, 9, 1))
	add("revoked by the words", "[2]", one, two, f.revoke(0, 1, 1))
	add("a revoked device takes with it what it certified", "[2]", one, two, three, f.cert(3, 4, 1), f.revoke(0, 1, 1))
	add("kept by another's certificate", "[2 3 4]", one, two, three, f.cert(3, 4, 1), f.revoke(0, 1, 1), f.cert(2, 3, 9))
	add("kept by the words", "[2 3]", one, two, three, f.revoke(0, 1, 1), f.cert(0, 3, 9))
	add("revoked by its equal", "[2]", one, two, three, f.revoke(2, 1, 1))
	add("each revokes the other", "[5]", one, two, three, f.cert(2, 4, 1), f.cert(0, 5, 1), f.revoke(1, 1, 2), f.revoke(2, 1, 1))
	add("the invited revokes who invited it", "[1 3]", one, three, f.revoke(3, 1, 1))
	add("the invited revokes another by the words", "[1 2 3]", one, two, three, f.revoke(3, 1, 2))
	add("the invited revokes the invited", "[1 2 3]", one, two, three, f.cert(2, 4, 1), f.revoke(3, 1, 4))
	add("who strikes first from above", "[1 2 4]", one, two, three, f.cert(2, 4, 1), f.revoke(3, 1, 4), f.revoke(1, 1, 3))
	add("a device revokes the root", "[1 2]", one, two, func() Statement {
		r := SignRevoke(deviceKey(1), f.secret.Account(), []DeviceKey{DeviceKey(f.secret.Account())}, 1)
		return Statement{Revoke: &r}
	}())
	add("words used again stand above devices", "[1 3]", one, two, three, f.cert(0, 1, 77), f.revoke(2, 1, 1), f.revoke(1, 1, 2))
	add("words used again, by the words", "[2]", one, two, f.cert(0, 1, 77), f.revoke(0, 1, 1))
	add("the same certificate twice is once", "[2]", one, one, two, f.revoke(2, 1, 1))
	add("the thief certified another and revoked the owner", "[1 4]", one, two, f.cert(1, 4, 1), f.revoke(1, 1, 2))
	add("then the words", "[2]", one, two, f.cert(1, 4, 1), f.revoke(1, 1, 2), f.revoke(0, 1, 1))
	add("what the cut one signs later", "[2]", one, two, f.revoke(0, 1, 1), f.cert(1, 4, 2), f.revoke(1, 2, 2), f.cert(4, 5, 1))
	add("a device that leaves", "[2]", one, two, f.revoke(1, 1, 1))
	add("one that was revoked and is certified again", "[2]", one, two, f.revoke(2, 1, 1), f.cert(2, 1, 5))
	add("several at once", "[4]", one, two, three, f.cert(0, 4, 1), f.revoke(4, 1, 1, 2))
	add("moved to another account", "[1 2]", one, two, f.moved(1, 1_800_000_000))
	add("moved twice: the later word, not that of who is out", "[1 2]", one, two, three, f.moved(1, 1_800_000_000), f.moved(2, 1_800_000_001), f.moved(3, 1_800_000_002), f.revoke(1, 1, 3))
	add("a move that a stranger states", "[1]", one, f.moved(2, 1_800_000_000))
	add("a move that the words state", "[1]", one, f.moved(0, 1_800_000_000))

	var read []vector
	golden(t, "statements.json", made, &read)
	for _, v := range read {
		a, _ := ParseAccount(v.Account)
		s := NewStatements(a)
		var all []Statement
		for _, h := range v.Statements {
			st, err := ParseStatement(unhex(t, h))
			if err != nil || !bytes.Equal(st.Marshal(), unhex(t, h)) {
				t.Fatalf("%s: %v", v.Name, err)
			}
			all = append(all, st)
		}
		slices.Reverse(all)
		s.Add(all...)
		for _, d := range v.Devices {
			got := s.Trust().Of(DeviceKey(unhex(t, d.Device)))
			if got == nil || got.Trusted != d.Trusted || got.Rank != d.Rank {
				t.Errorf("%s: %s is %+v", v.Name, d.Device[:8], got)
			}
		}
		if got := moved(s); got != v.Moved {
			t.Errorf("%s: moved %q", v.Name, got)
		}
		if digest := s.Digest(); hex.EncodeToString(digest[:]) != v.Digest {
			t.Errorf("%s: another digest", v.Name)
		}
	}
}

func TestStatementBytes(t *testing.T) {
	f := newFamily()
	account := f.secret.Account()
	for name, good := range map[string]Statement{"cert": f.cert(0, 1, 1<<63), "revoke": f.revoke(1, 1<<63, 1, 2, 3), "moved": f.moved(1, 1<<39)} {
		b := good.Marshal()
		if err := good.Verify(account); err != nil {
			t.Fatal(name, err)
		}
		if err := good.Verify(secretOf(2).Account()); err != ErrStatement {
			t.Error(name, "is good in another account")
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 0x40
			if st, err := ParseStatement(bad); err == nil && st.Verify(account) == nil {
				t.Errorf("%s with byte %d changed is good", name, i)
			}
			if _, err := ParseStatement(b[:i]); err != ErrStatement {
				t.Errorf("%s cut at %d is read", name, i)
			}
		}
		if _, err := ParseStatement(append(bytes.Clone(b), 0)); err != ErrStatement {
			t.Errorf("a longer %s is read", name)
		}
	}
	var keys []byte
	for i := byte(1); i <= RevokedMax; i++ {
		keys = append(keys, i)
	}
	full := f.revoke(1, 1<<63, keys...)
	if b := full.Marshal(); len(b) != RevokeBytesMax {
		t.Errorf("the largest revocation has %d bytes", len(b))
	} else if _, err := ParseStatement(b); err != nil {
		t.Error(err)
	}
	for name, st := range map[string]Statement{"17 devices": f.revoke(1, 1, append(keys, 99)...), "none": f.revoke(1, 1)} {
		if _, err := ParseStatement(st.Marshal()); err != ErrStatement {
			t.Errorf("a revocation of %s is read", name)
		}
	}
	twice := f.revoke(1, 1, 1, 2)
	twice.Revoke.Devices[1] = twice.Revoke.Devices[0]
	if _, err := ParseStatement(twice.Marshal()); err != ErrStatement {
		t.Error("a revocation that names a device twice is read")
	}
}

// TestStatementsFull fills the room of devices: the words still find theirs, and
// what they cut makes room.
func TestStatementsFull(t *testing.T) {
	f := newFamily()
	s := f.set(f.cert(0, 1, 1), f.cert(0, 2, 1))
	var all []Statement
	for i := range uint64(StatementsMax) {
		all = append(all, f.cert(1, 9, i))
	}
	if added, err := s.Add(all...); err != nil || len(added) != StatementsMax {
		t.Fatal(len(added), err)
	}
	if _, err := s.Add(f.revoke(2, 1, 1)); err != ErrStatementsFull {
		t.Fatalf("one more: %v", err)
	}
	if _, err := s.Add(f.revoke(0, 1, 1)); err != nil || trusted(s) != "[2]" {
		t.Fatalf("the words: %v, trusted %s", err, trusted(s))
	}
	if added, err := s.Add(f.cert(2, 3, 1)); err != nil || len(added) != 1 || trusted(s) != "[2 3]" {
		t.Fatalf("after the cut: %v, trusted %s", err, trusted(s))
	}
	if n := len(s.List()); n != 4 {
		t.Errorf("%d statements are left", n)
	}
}

// spoken draws statements of the root and six devices.
func spoken(t *rapid.T, f family) []Statement {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Statement {
		issuer := rapid.ByteRange(0, 6).Draw(t, "issuer")
		serial := rapid.Uint64Range(0, 2).Draw(t, "serial")
		if rapid.Bool().Draw(t, "certifies") {
			return f.cert(issuer, rapid.ByteRange(1, 6).Draw(t, "device"), serial)
		}
		return f.revoke(issuer, serial, rapid.SliceOfN(rapid.ByteRange(1, 6), 1, 2).Draw(t, "devices")...)
	}), 0, 16).Draw(t, "statements")
}

func standings(s *Statements) map[DeviceKey]string {
	m := map[DeviceKey]string{}
	for _, d := range s.Trust().Devices() {
		m[d.Device] = fmt.Sprint(d.Trusted, d.Rank, d.Ended != nil, len(d.Chain))
	}
	return m
}

// TestTrustOrder: the order in which statements are learned does not matter, nor
// how they are portioned; nor does what is signed by who was cut.
func TestTrustOrder(t *testing.T) {
	f := newFamily()
	rapid.Check(t, func(t *rapid.T) {
		all := spoken(t, f)
		s := f.set(all...)
		other := f.set(rapid.Permutation(all).Draw(t, "order")...)
		if !maps.Equal(standings(s), standings(other)) || s.Digest() != other.Digest() {
			t.Fatal("another order, another decision")
		}
		single := NewStatements(f.secret.Account())
		for _, st := range s.List() {
			if _, err := single.Add(st); err != nil {
				t.Fatal(err)
			}
		}
		if trusted(single) != trusted(s) || single.Digest() != s.Digest() || len(single.Lacking(s))+len(s.Lacking(single)) > 0 {
			t.Fatal("what is handed on one by one leads elsewhere")
		}
		for _, d := range s.Trust().Devices() {
			if d.Trusted && VerifyChain(f.secret.Account(), d.Device, d.Chain) != nil {
				t.Fatal("a trusted device without a chain that holds")
			}
			if d.Trusted && d.Ended != nil || len(d.Chain) > 0 != d.Trusted {
				t.Fatal("trusted and ended")
			}
		}
	})
}

// TestTrustGrows: what a further statement can bring about, and what none can.
func TestTrustGrows(t *testing.T) {
	f := newFamily()
	key := func(d byte) DeviceKey { return public(deviceKey(d)) }
	rapid.Check(t, func(t *rapid.T) {
		all := spoken(t, f)
		s := f.set(all...)
		target := rapid.ByteRange(1, 6).Draw(t, "target")
		issuer := rapid.ByteRange(0, 6).Draw(t, "revoker")
		before, by := s.Trust().Of(key(target)), s.Trust().Of(key(issuer))
		after := f.set(append(all, f.revoke(issuer, 9, target))...)
		switch {
		case issuer == 0:
			// Final, whatever else is said by devices or the root.
			further := f.set(append(append(all, f.revoke(0, 9, target)), spoken(t, f)...)...)
			if after.Trust().Trusted(key(target)) || further.Trust().Trusted(key(target)) {
				t.Fatal("the root's revocation does not hold")
			}
		case by == nil || by.Rank == 0 || before == nil:
		case by.Trusted && (by.Rank < before.Rank || issuer == target || by.Rank == before.Rank && by.Rank > 1):
			if after.Trust().Trusted(key(target)) {
				t.Fatal("a revocation by who may does not count")
			}
		case before.Rank > 0 && before.Rank < by.Rank || before.Rank == 1 && issuer != target:
			if after.Trust().Trusted(key(target)) != before.Trusted {
				t.Fatal("a revocation by who stands below counts")
			}
		}
		// The words, used again, bring any device back that the words did not cut,
		// and no other device can end that.
		if ended := slices.ContainsFunc(all, func(st Statement) bool {
			r := st.Revoke
			return r != nil && slices.Contains(r.Devices, key(target)) && (r.Issuer == DeviceKey(f.secret.Account()) || r.Issuer == key(target))
		}); !ended {
			back := append(all, f.cert(0, target, 100), f.cert(0, target, 101))
			for other := byte(1); other <= 6; other++ {
				if other != target {
					back = append(back, f.revoke(other, 50, target))
				}
			}
			if !f.set(back...).Trust().Trusted(key(target)) {
				t.Fatal("the words do not bring it back")
			}
		}
	})
}

func FuzzParseStatement(f *testing.F) {
	fam := newFamily()
	f.Add(fam.cert(0, 1, 1).Marshal())
	f.Add(fam.revoke(1, 1, 2, 3).Marshal())
	f.Add(fam.moved(1, 1).Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := ParseStatement(b)
		if err == nil && !bytes.Equal(st.Marshal(), b) {
			t.Fatal("a statement with two encodings")
		}
	})
}
