// Package model lets handsets and a cloud live through random histories of
// edits, cuts, kills and disasters, and checks after every step that nothing is
// lost, nothing returns from the dead and nobody claims to be in sync who is
// not. It has tests only.
//
// What runs is the real device store, the real session machines with their
// drivers, and the real cloud store, in one goroutine, without sockets and
// clocks: a history is replayed from its seed or its script. Files are in
// memory where there is /dev/shm. A process that is killed leaves its files as
// they are; what it wrote since its last message may be there in any part.
//
// What is expected is not computed by the rules of merging. Every write is an
// event that knows which events its writer had seen (event_test.go); every
// version that exists anywhere is mapped to the events that it must show
// (ledger_test.go). What a lost write would show late, or only with bad luck, is
// looked at directly: which writes are marked as known to the cloud, what a
// fork moves, what is held, how many losses a day lets through, digests, pieces
// of pictures (rules_test.go).
//
// A script is a list of actions (script_test.go), which a world carries out
// (world_test.go): what apps do (app_test.go), what happens to devices, cloud and
// clocks (disaster_test.go), and to files (disk_test.go). check_test.go has what
// must hold when faults stop. MUTANTS.md says which rules were broken on purpose,
// what was noticed, and how many histories ran.
//
//	go test ./cmd/internal/endtoend/model                                  # short form
//	SIDEKEEP_HISTORIES=10000 go test -timeout 0 -run TestHistories ./cmd/internal/endtoend/model
//	SIDEKEEP_SEED=123 go test -v -run TestOneHistory ./cmd/internal/endtoend/model
//	SIDEKEEP_SCRIPT=file go test -v -run TestOneHistory ./cmd/internal/endtoend/model
//
// A history that fails is made shorter for SIDEKEEP_SHRINK seconds (20), and
// printed with the command that plays it again. SIDEKEEP_SCRIPT is a file as in
// testdata, which has those of the bugs that were found.
package model
