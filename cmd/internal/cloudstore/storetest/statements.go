package storetest

import (
	"maps"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

func testStatements(f *fixture) {
	a, b := f.author(), f.author()
	cert := seal.SignCert(a.Root, a.Account, a.Device, 1)
	revoke := seal.SignRevoke(a.Root, a.Account, []seal.DeviceKey{{1}, a.Device}, 2)
	list := []seal.Statement{{Cert: &cert}, {Revoke: &revoke}}
	want := func(account seal.Account, statements ...seal.Statement) {
		f.Helper()
		got, err := f.Statements(f.ctx, account)
		if err != nil {
			f.Fatal(err)
		}
		have, wanted := map[seal.StatementID]bool{}, map[seal.StatementID]bool{}
		for _, st := range got {
			have[st.ID()] = true
		}
		for _, st := range statements {
			wanted[st.ID()] = true
		}
		if !maps.Equal(have, wanted) || len(got) != len(statements) {
			f.Errorf("%d statements, want %d", len(got), len(statements))
		}
	}
	want(a.Account)
	want(seal.Account{9})
	wantCode(f, f.AddStatements(f.ctx, seal.Account{9}, list), syncproto.CodeUnknownAccount)
	for range 2 {
		if err := f.AddStatements(f.ctx, a.Account, list); err != nil {
			f.Fatal(err)
		}
	}
	want(a.Account, list...)
	want(b.Account)
	f.reopen()
	want(a.Account, list...)
}
