package cloud

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Admitter says which accounts may have a session. It is asked only about
// accounts whose device has authenticated.
type Admitter interface {
	Admit(account seal.Account, shown syncproto.Admission) bool
}

// AdmitAll admits every account.
type AdmitAll struct{}

// Admit returns true.
func (AdmitAll) Admit(seal.Account, syncproto.Admission) bool { return true }

// AdmitNone admits no account.
type AdmitNone struct{}

// Admit returns false.
func (AdmitNone) Admit(seal.Account, syncproto.Admission) bool { return false }

// AdmitFile admits the accounts that a file lists: one account id a line, in hex;
// empty lines and lines that begin with '#' are skipped. The file is read again
// when it changed. A file that can not be read or has a bad line leaves the list
// as it was.
type AdmitFile struct {
	path string
	log  *slog.Logger

	mu       sync.Mutex // guards what follows
	accounts map[seal.Account]bool
	stamp    fileStamp
	checked  time.Time
}

type fileStamp struct {
	modified time.Time
	size     int64
}

// admitCheckEvery bounds how often the file's time and size are looked at.
const admitCheckEvery = 200 * time.Millisecond

// NewAdmitFile reads the file. The error names the line that is wrong.
func NewAdmitFile(path string, log *slog.Logger) (*AdmitFile, error) {
	a := &AdmitFile{path: path, log: log}
	return a, a.reload()
}

// Admit reports whether the file lists account.
func (a *AdmitFile) Admit(account seal.Account, _ syncproto.Admission) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); now.Sub(a.checked) >= admitCheckEvery {
		a.checked = now
		if err := a.reload(); err != nil {
			a.log.Error("the admission list was not read again", "error", err)
		}
	}
	return a.accounts[account]
}

func (a *AdmitFile) reload() error {
	info, err := os.Stat(a.path)
	if err != nil {
		return fmt.Errorf("read admission list: %w", err)
	}
	stamp := fileStamp{info.ModTime(), info.Size()}
	if stamp == a.stamp {
		return nil
	}
	accounts, err := readAccounts(a.path)
	if err != nil {
		return fmt.Errorf("read admission list: %w", err)
	}
	a.accounts, a.stamp = accounts, stamp
	return nil
}

func readAccounts(path string) (map[seal.Account]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	accounts := map[seal.Account]bool{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		account, err := seal.ParseAccount(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		accounts[account] = true
	}
	return accounts, lines.Err()
}
