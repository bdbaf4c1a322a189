package syncproto

import "sidekeep/syncproto/seal"

// Statements carries what the sender knows about the account's devices (SPEC.md
// section "Statements"): from a device all of it, from the cloud what the device
// lacks.
type Statements struct {
	List [][]byte              `cbor:"1,keyasint"`           // marshalled, issuers before what they issued
	More bool                  `cbor:"2,keyasint,omitempty"` // the rest follows
	Set  seal.StatementsDigest `cbor:"3,keyasint,omitzero"`  // all that the sender has
}

// Type returns TypeStatements.
func (*Statements) Type() Type { return TypeStatements }

func (m *Statements) check() error {
	if len(m.List) > StatementsMax {
		return errorf(CodeTooLarge, "%d statements", len(m.List))
	}
	if m.More && len(m.List) == 0 {
		return errorf(CodeBadMessage, "more of nothing")
	}
	for _, b := range m.List {
		if len(b) > seal.StatementBytesMax {
			return errorf(CodeTooLarge, "a statement of %d bytes", len(b))
		}
		if _, err := seal.ParseStatement(b); err != nil {
			return errorf(CodeBadMessage, "a statement that can not be read")
		}
	}
	return nil
}

// statementMessages gives the messages that carry a list: at least one.
func statementMessages(list []seal.Statement, set seal.StatementsDigest) []Message {
	var all []Message
	for {
		n := min(len(list), StatementsMax)
		m := &Statements{List: make([][]byte, n), Set: set}
		for i, st := range list[:n] {
			m.List[i] = st.Marshal()
		}
		list = list[n:]
		m.More = len(list) > 0
		all = append(all, m)
		if !m.More {
			return all
		}
	}
}

// told collects the statements of the other end until it has said all.
type told struct{ list []seal.Statement }

// take adds a message. It reports whether that was the last, and an *Error if
// they are more than a set can hold.
func (t *told) take(m *Statements) (all []seal.Statement, last bool, err error) {
	for _, b := range m.List {
		st, err := seal.ParseStatement(b)
		if err != nil {
			return nil, false, errorf(CodeBadMessage, "a statement that can not be read")
		}
		t.list = append(t.list, st)
	}
	if len(t.list) > 2*seal.StatementsMax {
		return nil, false, errorf(CodeTooLarge, "more statements than there can be")
	}
	if m.More {
		return nil, false, nil
	}
	all, t.list = t.list, nil
	return all, true, nil
}
