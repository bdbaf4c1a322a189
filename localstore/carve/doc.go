// Package carve reads rows out of a damaged SQLite file: page by page, from
// the cells of each leaf, without following any tree. Whatever of a page can be
// read is given; what it means, and whether it is true, is for the caller, who
// has hashes. It only reads, and knows nothing of what the tables hold. Cut
// finds a file whose end is missing, before SQLite opens it.
//
// The layout is that of the SQLite file format (sqlite.org/fileformat2.html),
// whose sections the comments name. Start reading at Open.
package carve
