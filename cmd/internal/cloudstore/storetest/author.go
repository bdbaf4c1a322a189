package storetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Author is one replica of an account that makes sealed versions.
type Author struct {
	T       testing.TB
	Keys    *seal.Keys
	Account seal.Account
	Device  seal.DeviceKey
	Root    ed25519.PrivateKey
	Replica record.ReplicaID
	Counter uint64
	Last    syncproto.Token
}

// NewAuthor returns a replica of a new account.
func NewAuthor(t testing.TB) *Author {
	t.Helper()
	secret, err := seal.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &Author{T: t, Keys: id.Keys(), Account: id.Account, Device: id.Device(), Root: secret.Root()}
	rand.Read(a.Replica[:])
	return a
}

// Sibling returns another replica of the same account.
func (a *Author) Sibling() *Author {
	o := *a
	rand.Read(o.Replica[:])
	rand.Read(o.Device[:])
	o.Counter, o.Last = 0, syncproto.Token{}
	return &o
}

// Next implements record.Minter.
func (a *Author) Next() record.Dot {
	a.Counter++
	return record.Dot{Replica: a.Replica, Counter: a.Counter}
}

// Edit writes one field.
func (a *Author) Edit(v *record.Version, line string) *record.Version {
	return record.Set(v, []record.Edit{{Key: "FN", Line: []byte(line)}}, a)
}

// Join joins two versions.
func (a *Author) Join(v, o *record.Version) *record.Version {
	j, _ := record.Join(v, o, a)
	return j
}

// Seal returns v as a cloud receives it.
func (a *Author) Seal(kind record.Kind, id record.ID, v *record.Version) syncproto.CloudVersion {
	a.T.Helper()
	s, err := a.Keys.SealVersion(kind, id, v)
	if err != nil {
		a.T.Fatal(err)
	}
	h, err := seal.ParseHeader(s.Header)
	if err != nil {
		a.T.Fatal(err)
	}
	return syncproto.CloudVersion{Kind: kind, Ref: syncproto.NewRef(h.ID, h.VersionID), Vector: h.Vector, Dead: h.Dead(), Header: s.Header, Body: s.Body}
}

// Chunk returns a sealed chunk.
func (a *Author) Chunk(plain []byte) syncproto.CloudChunk {
	a.T.Helper()
	s, err := a.Keys.SealChunk(plain)
	if err != nil {
		a.T.Fatal(err)
	}
	return syncproto.CloudChunk{ID: a.Keys.ChunkID(plain), Header: s.Header, Body: s.Body}
}

// Claim returns a claim with a fresh token.
func (a *Author) Claim(create bool) syncproto.DoClaim {
	var t syncproto.Token
	rand.Read(t[:])
	return syncproto.DoClaim{Account: a.Account, Device: a.Device, Replica: a.Replica, Last: a.Last, Pending: []syncproto.Token{t}, Create: create}
}
