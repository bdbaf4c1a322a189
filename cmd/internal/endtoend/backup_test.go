package endtoend

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/backup"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// backUp writes a back-up of the device and returns its path.
func (d *device) backUp() string {
	d.t.Helper()
	path := filepath.Join(d.t.TempDir(), "backup.age")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if _, err := backup.Create(context.Background(), d.store, f, localstore.Note{Cloud: d.conf.CloudURL}, backupOptions(d.t, d.id)); err != nil {
		d.t.Fatalf("%s: back up: %v", d.name, err)
	}
	return path
}

func backupOptions(t testing.TB, id *seal.Identity) backup.Options {
	return backup.Options{Passphrase: id.Keys().BackupPassphrase(), Work: filepath.Join(t.TempDir(), "work"),
		Store: localstore.Options{Hasher: id.Keys()}}
}

// openBackup tries to open a back-up with the words of the account.
func (a *account) openBackup(t testing.TB, path string) (string, error) {
	t.Helper()
	id, err := seal.NewIdentity(a.secret, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o := backupOptions(t, id)
	s, _, err := backup.Open(context.Background(), f, o)
	if err != nil {
		if _, e := os.Stat(o.Work); !errors.Is(e, os.ErrNotExist) {
			t.Errorf("something is left of the refused back-up: %v", e)
		}
		return "", err
	}
	return o.Data(), s.Close()
}

// restore makes a device of the account from a back-up, with a key of its own.
func (a *account) restore(t testing.TB, name, path, url string) *device {
	t.Helper()
	dir, err := a.openBackup(t, path)
	if err != nil {
		t.Fatalf("restore %s: %v", name, err)
	}
	d := a.join(t, name, url)
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	d.dir = dir
	d.open()
	return d
}

func TestDeviceRestoredFromABackup(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.add(record.Contacts, "gone", "FN", "Gone")
	picture := a.picture("beach", 200_000)
	settle(a, b)
	a.add(record.Notes, "unsent", "SUMMARY", "never synced before the back-up")
	a.set("ada", "TITLE", "unsynced edit in the back-up")
	path := a.backUp()
	a.set("ada", "NOTE", "after the back-up")
	a.remove("gone")
	settle(a, b)
	was := a.replica()

	cloud.Stop() // the new handset has no network
	c := person.restore(t, "c", path, cloud.URL)
	sameBytes(t, "picture without network", c.pictureBytes("beach"), picture)
	if r := c.get("ada"); line(&r, "TITLE:unsynced") == "" {
		t.Errorf("the unsynced edit is not in the back-up: %+v", r)
	}
	c.set("ada", "ORG", "on the restored device")

	cloud.Restart()
	settle(c, a)
	settle(b, c)
	settle(a, b)
	same(t, a, b, c)
	for _, want := range []string{"NOTE:after", "ORG:on", "TITLE:unsynced"} {
		if r := b.get("ada"); line(&r, want) == "" {
			t.Errorf("no %s on b: %+v", want, r)
		}
	}
	if !c.get("gone").Deleted {
		t.Error("what was deleted after the back-up returned with it")
	}
	if c.replica() == was {
		t.Error("the restored device writes under the identity of the one that was backed up")
	}
}

func TestBackupRestoredWhenAllElseIsLost(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	for i := range 40 {
		a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
	}
	a.sync()
	a.remove("contact-3")
	a.sync()
	want := a.contents()
	path := a.backUp()
	cloud = cloud.Destroy()
	c := person.restore(t, "c", path, cloud.URL)
	c.sync()
	got := c.contents()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("restored:\n%s\n---\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestBackupWhileAppsWrite backs up under writers, and counts that every record
// acknowledged before is in it.
func TestBackupWhileAppsWrite(t *testing.T) {
	person := newAccount(t)
	a := person.join(t, "a", "ws://127.0.0.1:9")
	for i := range 200 {
		a.add(record.Contacts, fmt.Sprintf("before-%d", i), "FN", "Before")
	}
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := a.store.Put(context.Background(), record.Notes, uid(fmt.Sprintf("during-%d", i)), fields("SUMMARY", "During")); err != nil {
				done <- err
				return
			}
		}
	}()
	path := a.backUp()
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c := person.restore(t, "c", path, "ws://127.0.0.1:9")
	s, err := c.store.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Kinds[record.Contacts].Live; n != 200 {
		t.Errorf("%d contacts in the back-up, want 200", n)
	}
}

// TestStockAgeOpensABackup opens one as `age -d` does, with the passphrase that
// `sidekeep words --backup-key` prints, and reads it as any program would.
func TestStockAgeOpensABackup(t *testing.T) {
	person := newAccount(t)
	a := person.join(t, "a", "ws://127.0.0.1:9")
	a.add(record.Contacts, "ada", "FN", "Ada Lovelace")
	db, err := sql.Open("sqlite", plainBackup(t, a, a.backUp()))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.QueryRow("SELECT name FROM contacts").Scan(&name); err != nil || name != "Ada Lovelace" {
		t.Errorf("got %q, %v", name, err)
	}
}

// plainBackup decrypts a back-up with stock age and returns the database's path.
func plainBackup(t testing.TB, d *device, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id, err := age.NewScryptIdentity(d.id.Keys().BackupPassphrase())
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(f, id)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "plain.db")
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// sealBackup writes an age file of plain with a work factor.
func sealBackup(t testing.TB, d *device, plain []byte, workFactor int) string {
	t.Helper()
	r, err := age.NewScryptRecipient(d.id.Keys().BackupPassphrase())
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(workFactor)
	var b bytes.Buffer
	w, err := age.Encrypt(&b, r)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, b.Bytes())
}

func writeFile(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.age")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCase22KeysOutOfReach: keys-out-of-reach. The bytes of the device's
// identity stand neither in the database nor in what is inside a back-up.
func TestCase22KeysOutOfReach(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	a := newAccount(t).join(t, "a", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.sync()
	path := a.backUp()
	files := []string{path, plainBackup(t, a, path)}
	found, err := filepath.Glob(filepath.Join(a.dir, "*"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, file := range append(files, found...) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pass := a.id.Keys().BackupPassphrase()
		for what, key := range map[string][]byte{"data secret": a.id.Data[:], "device key": a.id.Seed[:], "passphrase": []byte(pass)} {
			half := key[:16]
			for _, form := range [][]byte{half, []byte(hex.EncodeToString(half))} {
				if bytes.Contains(b, form) {
					t.Errorf("%s holds the %s", filepath.Base(file), what)
				}
			}
		}
	}
}

// TestCase24EvilBackup: truncated, foreign, work factor 22, wrong ids are
// refused before anything is touched, within 16 MiB.
func TestCase24EvilBackup(t *testing.T) {
	person, other := newAccount(t), newAccount(t)
	a, stranger := person.join(t, "a", "ws://127.0.0.1:9"), other.join(t, "stranger", "ws://127.0.0.1:9")
	for i := range 30 {
		a.add(record.Contacts, fmt.Sprintf("contact-%d", i), "FN", fmt.Sprintf("Person %d", i))
	}
	a.picture("beach", 150_000)
	path := a.backUp()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	// edited gives the back-up with its content changed by somebody with the words.
	edited := func(queries ...string) string {
		plain := plainBackup(t, a, path)
		db, err := sql.Open("sqlite", plain)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		db.Close()
		b, err := os.ReadFile(plain)
		if err != nil {
			t.Fatal(err)
		}
		return sealBackup(t, a, b, backup.WorkFactor)
	}
	text := "age-encryption.org/v1\n-> scrypt "
	cases := []struct {
		name, path string
		want       error
	}{
		{"empty", writeFile(t, nil), localstore.ErrForeign},
		{"text", writeFile(t, []byte(strings.Repeat("no back-up at all\n", 200))), localstore.ErrForeign},
		{"header without end", writeFile(t, []byte(text+strings.Repeat("A", 1<<20))), localstore.ErrDamaged},
		{"cut in the header", writeFile(t, good[:60]), localstore.ErrDamaged},
		{"cut in the middle", writeFile(t, good[:len(good)/2]), localstore.ErrDamaged},
		{"cut at the boundary of a piece", writeFile(t, good[:len(good)-len(good)%(64<<10+16)]), localstore.ErrDamaged},
		{"one byte short", writeFile(t, good[:len(good)-1]), localstore.ErrDamaged},
		{"one byte more", writeFile(t, append(bytes.Clone(good), 0)), localstore.ErrDamaged},
		{"flipped in the first piece", writeFile(t, flip(1000)), localstore.ErrDamaged},
		{"flipped in the last byte", writeFile(t, flip(len(good)-1)), localstore.ErrDamaged},
		{"flipped in the MAC of the header", writeFile(t, flip(bytes.Index(good, []byte("--- "))+10)), localstore.ErrDamaged},
		{"of another account", stranger.backUp(), backup.ErrKey},
		{"work factor 13", sealBackup(t, a, []byte("x"), 13), backup.ErrWork},
		{"no database inside", sealBackup(t, a, []byte("SQLite, or not"), backup.WorkFactor), localstore.ErrDamaged},
		{"nothing inside", sealBackup(t, a, nil, backup.WorkFactor), localstore.ErrForeign},
		{"another program's database inside", sealBackup(t, a, foreignDatabase(t), backup.WorkFactor), localstore.ErrForeign},
		{"a record fewer", edited("PRAGMA writable_schema = 1", "DROP TRIGGER record_guard_delete", "DELETE FROM record WHERE n = 1"), localstore.ErrDamaged},
		{"wrong chunk", edited("UPDATE chunk_data SET data = zeroblob(length(data)) WHERE n = 1"), localstore.ErrDamaged},
		{"wrong digest", edited("UPDATE digest SET sum = zeroblob(16)", "INSERT OR IGNORE INTO digest VALUES ('contacts', 4, zeroblob(16))"), localstore.ErrDamaged},
	}
	// Work factor 22 would take 4 GiB to make: only the number is changed.
	at := bytes.Index(good, []byte(" 10\n"))
	wf22 := append(append(bytes.Clone(good[:at]), " 22\n"...), good[at+4:]...)
	cases = append(cases, struct {
		name, path string
		want       error
	}{"work factor 22", writeFile(t, wf22), backup.ErrWork})
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := person.openBackup(t, c.path)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if errors.Is(err, backup.ErrWork) || errors.Is(err, localstore.ErrForeign) && !strings.Contains(c.name, "inside") {
				if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
					t.Errorf("refusing took %d bytes", used)
				}
			}
		})
	}
	if _, err := person.openBackup(t, path); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestCase24WrongIDs: a minted record whose content is not that of its id.
func TestCase24WrongIDs(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a := person.join(t, "a", cloud.URL)
	a.add(record.Contacts, "ada", "FN", "Ada")
	a.sync()
	plain := plainBackup(t, a, a.backUp())
	db, err := sql.Open("sqlite", plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DROP TRIGGER record_before_image", "UPDATE record SET doc = replace(doc, 'Ada', 'Eve')"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	b, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := person.openBackup(t, sealBackup(t, a, b, backup.WorkFactor)); !errors.Is(err, localstore.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func foreignDatabase(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign.db")
	db, err := sql.Open("sqlite", path)
	if err == nil {
		_, err = db.Exec("CREATE TABLE meta (key TEXT, value ANY)")
	}
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBackupStopsWhenTold ends at once and leaves nothing behind.
func TestBackupStopsWhenTold(t *testing.T) {
	a := newAccount(t).join(t, "a", "ws://127.0.0.1:9")
	a.picture("beach", 3_000_000)
	f, err := os.Create(filepath.Join(t.TempDir(), "backup.age"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(context.Background())
	o := backupOptions(t, a.id)
	o.Progress = func(string, float64) { cancel() }
	start := time.Now()
	_, err = backup.Create(ctx, a.store, f, localstore.Note{}, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
	if _, err := os.Stat(o.Work); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}
