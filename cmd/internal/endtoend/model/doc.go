// Package model lets handsets and a cloud live through random histories of
// edits, cuts, kills and disasters, and checks after every step that nothing is
// lost, nothing returns from the dead and nobody claims to be in sync who is
// not. It has tests only.
//
// What runs is the real device store, the real session machines with their
// drivers, and the real cloud store, in one goroutine, without sockets and
// clocks: a history is replayed exactly from its seed or its script.
//
// What is expected is not computed by the rules of merging. Every write is an
// event that knows which events its writer had seen (event_test.go); every
// version that exists anywhere is mapped to the events that it must show
// (ledger_test.go). A script is a list of actions (script_test.go), which a
// world carries out (world_test.go); check_test.go has the invariants.
//
//	go test ./cmd/internal/endtoend/model                                  # short form
//	SIDEKEEP_HISTORIES=10000 go test -timeout 0 -run TestHistories ./cmd/internal/endtoend/model
//	SIDEKEEP_SEED=123 go test -v -run TestOneHistory ./cmd/internal/endtoend/model
//	SIDEKEEP_SCRIPT=file go test -v -run TestOneHistory ./cmd/internal/endtoend/model
package model
