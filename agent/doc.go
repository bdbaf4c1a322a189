// Package agent is the sync engine of a device: it connects to the cloud,
// authenticates, pulls and pushes versions and chunks, proves by digest, and
// stays live.
//
// It drives two things that know nothing of each other: the pure session
// machine of syncproto (DeviceSession), which decides, and the store
// (localstore), which keeps. The agent owns what neither may have: sockets,
// clocks, goroutines, the sealing of versions, retries and the status that a
// person sees.
//
//   - agent.go    Config, Agent, Run and SyncOnce: sessions one after another
//   - session.go  one session: socket, store and machine joined in one loop
//   - perform.go  what the machine asks of the store
//   - trust.go    what is looked for beside digests: statements of others, samples
//   - code.go     a short code that two people can compare
//   - retry.go    when to come back
//   - keepalive.go  adaptive pings and the noticing of a silent network
//   - loss.go     saying what the cloud lost, and that it has it again
//   - clock.go    the time that certificates are checked against
//   - memory.go   what is remembered between sessions, beside the store
//   - target.go   the cloud's address
//   - status.go   the immutable snapshot; publish.go makes it, control.go serves
//     it on a socket
//   - invite.go   inviting a device, and being invited; guest.go its connection
//   - devices.go  what is known about the account's devices, beside the keys
//   - errors.go   what SyncOnce can end with
//
// One Agent belongs to one Store. Run and SyncOnce do not run at the same time;
// Status, Watch, SyncNow and Kick may be called from any goroutine. Start reading
// at agent.go, then session.go beside syncproto's device.go.
package agent
