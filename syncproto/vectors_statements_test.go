package syncproto

import (
	"testing"

	"sidekeep/syncproto/seal"
)

// makeStatements has the message at both ends and in all states that take it.
func makeStatements(t testing.TB) []vector {
	id, root := vectorIdentity(t), vectorSecret(t).Root()
	revoke := seal.SignRevoke(root, id.Account, []seal.DeviceKey{id.Device()}, 1).Marshal()
	good := &Statements{List: [][]byte{id.Chain[0].Marshal(), revoke}, Set: seal.StatementsDigest{1}}
	with := func(change func(*Statements)) *Statements {
		m := &Statements{List: [][]byte{revoke}, Set: seal.StatementsDigest{1}}
		change(m)
		return m
	}
	var all []vector
	for _, at := range []struct {
		to, state string
	}{{"cloud", "open"}, {"cloud", "contested"}, {"device", "auth sent"}, {"device", "working"}} {
		m := &vectorMaker{t: t, to: at.to, state: at.state}
		where := " (" + at.to + ", " + at.state + ")"
		outcome := taken("list")
		if at.state == "contested" {
			outcome = taken("trust")
		}
		m.message("statements"+where, good, outcome)
		m.message("statements, none"+where, &Statements{}, outcome)
		m.message("statements with more to follow"+where, with(func(m *Statements) { m.More = true }), taken(""))
		m.message("statements, more of none"+where, &Statements{More: true}, closed(CodeBadMessage))
		m.message("statements of which one can not be read"+where, with(func(m *Statements) { m.List[0] = cut(revoke) }), closed(CodeBadMessage))
		m.message("a statement of 690 bytes"+where, with(func(m *Statements) { m.List[0] = make([]byte, seal.StatementBytesMax+1) }), closed(CodeTooLarge))
		m.message("129 statements"+where, with(func(m *Statements) {
			m.List = fill(StatementsMax+1, func(int) []byte { return revoke })
		}), closed(CodeTooLarge))
		all = append(all, m.all...)
	}
	early := &vectorMaker{t: t, to: "cloud", state: "waits for auth"}
	early.message("statements before auth", with(func(*Statements) {}), closed(CodeOutOfOrder))
	late := &vectorMaker{t: t, to: "device", state: "hello sent"}
	late.message("statements before the challenge", good, closed(CodeOutOfOrder))
	return append(append(all, early.all...), late.all...)
}
