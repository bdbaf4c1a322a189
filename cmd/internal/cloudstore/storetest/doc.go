// Package storetest is the conformance suite of cloudstore.Store. Every
// implementation passes it: Run takes a function that opens an empty store and
// can open it again, RunPlaces one that can also damage it.
package storetest
