package pim

import "sidekeep/localstore/record"

// card imports one vCard (RFC 6350, RFC 2426, vCard 2.1) as one contact.
func (im *importer) card(c *component) error {
	im.checkLines(c)
	b := newBuilder(record.Contacts)
	_, versioned := c.property("VERSION")
	b.component("", "VCARD", c, !versioned)
	return im.emitObject(b, c, uidOf(c))
}

// uidOf returns the UID that stands in a component, or "".
func uidOf(c *component) string {
	p, ok := c.property("UID")
	if !ok {
		return ""
	}
	return joinValue(decodeValue(verbatim, p, p.value), "")
}
