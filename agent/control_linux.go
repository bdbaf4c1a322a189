package agent

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// socketPathMax is the room for a path in a Unix socket's address, less a NUL.
const socketPathMax = 107

// socketPath returns a path of the socket that fits an address: a long one goes
// through a descriptor of the folder, which done closes.
func socketPath(home string) (path string, done func(), err error) {
	path = filepath.Join(home, SocketName)
	if len(path) <= socketPathMax {
		return path, func() {}, nil
	}
	d, err := os.Open(home)
	if err != nil {
		return "", nil, fmt.Errorf("control socket: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName), func() { d.Close() }, nil
}

// peerAllowed reports whether the other end belongs to this user or root.
func peerAllowed(c net.Conn) bool {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	allowed := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		allowed = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Getuid())
	})
	return err == nil && allowed
}
