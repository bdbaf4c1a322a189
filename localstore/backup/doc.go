// Package backup writes a device's database into one encrypted file, and makes
// a database of such a file again.
//
// A back-up is an age file (C2SP, age-encryption.org/v1) for one passphrase,
// which is derived from the account's words. Inside is a packed SQLite database
// in the format of ../FORMAT.md: `age -d FILE > sidekeep.db` gives a file that
// any SQLite program reads. The device's own key is never in it.
//
// Create is done only when what it wrote was opened again and found whole.
// Open trusts nothing: it works in a folder of its own, and gives an error
// before anything else is touched. Start reading at Create.
package backup
