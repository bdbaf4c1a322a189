// Package pim turns files of personal data into record fields and back without
// loss: vCard 2.1, 3.0 and 4.0 (RFC 2425, 2426, 6350), iCalendar (RFC 5545),
// notes as text, and pictures. It is pure but for the files that ImportFile and
// the blob sources read: no clock, no randomness, no goroutine, no network. A
// URI in a file is never fetched.
//
// A record is a list of fields in the order of its lines; a field is a stable
// key and one content line as it came. The package owns the content-line codec
// (line.go, property.go, quoted.go), the keys (key.go), the way a line is shown
// and written as a document value (value.go), and what a person's record needs
// to be listed and searched (columns.go). It does not own causality
// (localstore/record) or storage (localstore).
//
// # Promises
//
// What was not edited is exported as it came in, byte for byte, except line
// ends and folding. Editing one field changes that line only; but an edited
// record that came without a UID is exported with one, so that importing the
// export again finds the record and does not make a second. The codec is total: a line it does not understand is carried as it stands and reported. A
// file can be refused as a whole only for its size; an object only for the
// limits in limits.go.
//
// # Keys
//
//	FN, N, SUMMARY            a property that stands once, in the main component
//	TEL.k3x2a, EMAIL.b5qqz    a repeatable one: the tag is minted at first import
//	                          from the decoded value, then kept for life
//	VALARM.r7k2m/TRIGGER      in a component inside the main one
//	@20261122T090000/SUMMARY  in the override of that RECURRENCE-ID
//	VCALENDAR/PRODID          beside the main component
//	VCALENDAR/VFREEBUSY.x3/…  a component of the calendar that is no entry
//	VTIMEZONE.Europe/Berlin   a whole time zone, raw
//	LINE.m3k7a                a line without a name before a colon
//	BEGIN, END                (after any prefix) a component whose own lines are
//	                          not the usual ones, or that must be kept as it came
//
// A Line holds one unfolded content line. Where it holds line feeds, each part
// stands on a line of its own: quoted-printable soft breaks are kept, and time
// zones and vCard 2.1 agents stand whole in one field. The Line of a field with
// a blob ends where the blob's text begins; if it ends in a zero byte, the blob
// is that text itself, otherwise the text is the blob's base64.
//
// Start reading at Import (import.go), then vcard.go and calendar.go, then
// Export (export.go). CORPUS.md has the table of the corpus run.
//
// All functions may be called from any goroutine; nothing is shared.
package pim
