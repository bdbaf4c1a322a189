package cloud

import (
	"context"
	"errors"
	"slices"
	"sync"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// rosters knows what is said about the devices of each account that has a session.
type rosters struct {
	store cloudstore.Store

	mu       sync.Mutex
	accounts map[seal.Account]*roster
}

// roster is one account's set of statements. It lives as long as a session uses it.
type roster struct {
	account seal.Account
	users   int // guarded by rosters.mu

	mu  sync.Mutex       // guards what follows, and is held while it changes on disk
	set *seal.Statements // nil before it was read
}

func newRosters(store cloudstore.Store) *rosters {
	return &rosters{store: store, accounts: map[seal.Account]*roster{}}
}

func (l *rosters) use(account seal.Account) *roster {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[account]
	if a == nil {
		a = &roster{account: account}
		l.accounts[account] = a
	}
	a.users++
	return a
}

func (l *rosters) leave(a *roster) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.users--; a.users == 0 {
		delete(l.accounts, a.account)
	}
}

// read returns the set. The caller holds a.mu.
func (l *rosters) read(ctx context.Context, a *roster) (*seal.Statements, error) {
	if a.set != nil {
		return a.set, nil
	}
	stored, err := l.store.Statements(ctx, a.account)
	if err != nil {
		return nil, err
	}
	set := seal.NewStatements(a.account)
	if _, err := set.Add(stored...); err != nil && !errors.Is(err, seal.ErrStatementsFull) {
		return nil, err
	}
	a.set = set
	return set, nil
}

// trust decides about a device before its claim. What it brings that is new is
// kept only if the claim succeeds: see entered.
func (c *session) trust(a syncproto.DoTrust) (syncproto.CloudEvent, error) {
	if !c.server.conf.Admit.Admit(a.Account, a.Admission) {
		return nil, &syncproto.Error{Code: syncproto.CodeRefused}
	}
	if c.roster == nil {
		c.roster = c.server.rosters.use(a.Account)
	}
	c.roster.mu.Lock()
	defer c.roster.mu.Unlock()
	set, err := c.server.rosters.read(c.ctx, c.roster)
	if err != nil {
		return nil, err
	}
	trial := set.Clone()
	// An error is about a statement that is left out; the verdict says the rest.
	_, _ = trial.Add(seal.StatementsOf(a.Chain)...)
	contest(trial, a.Told)
	c.brought = trial.Lacking(set)
	return syncproto.Listed{Trusted: trial.Trust().Trusted(a.Device), List: trial.List(), Set: trial.Digest()}, nil
}

// contest adds what a device that is not trusted says for itself: what the root
// says, and those that are trusted. So one that was revoked can not strike back.
func contest(set *seal.Statements, told []seal.Statement) {
	for grown := true; grown; {
		grown = false
		for _, st := range told {
			if set.Has(st.ID()) || st.Issuer() != seal.DeviceKey(set.Account()) && !set.Trust().Trusted(st.Issuer()) {
				continue
			}
			added, _ := set.Add(st)
			grown = grown || len(added) > 0
		}
	}
}

// entered keeps what the device brought, now that the account exists and the
// session can be reached, and looks once more whether it is trusted: another
// session may have ended that meanwhile.
func (c *session) entered() (seal.StatementsDigest, error) {
	got, err := c.learn(c.brought)
	c.brought = nil
	if err == nil && !got.Trusted {
		err = &syncproto.Error{Code: syncproto.CodeRefused}
	}
	return got.Set, err
}

// learn takes statements up, durably, and tells the account's other sessions.
func (c *session) learn(told []seal.Statement) (syncproto.Listed, error) {
	c.roster.mu.Lock()
	defer c.roster.mu.Unlock()
	set, err := c.server.rosters.read(c.ctx, c.roster)
	if err != nil {
		return syncproto.Listed{}, err
	}
	grown := set.Clone()
	added, err := grown.Add(told...)
	if err != nil {
		c.server.conf.Log.Warn("statements left out", "why", err.Error())
	}
	if len(added) > 0 {
		if err := c.server.conf.Store.AddStatements(c.ctx, c.roster.account, added); err != nil {
			return syncproto.Listed{}, err
		}
		c.roster.set = grown
		c.server.hub.told(c, c.roster.account, added, grown)
	}
	known := map[seal.StatementID]bool{}
	for _, st := range told {
		known[st.ID()] = true
	}
	lacking := slices.DeleteFunc(grown.List(), func(st seal.Statement) bool { return known[st.ID()] })
	return syncproto.Listed{Trusted: grown.Trust().Trusted(c.machine.Device()), List: lacking, Set: grown.Digest()}, nil
}
