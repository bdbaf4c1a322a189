// Package cloudcmd is the command line of sidekeep-cloud: serve, report and
// verify. Main does not touch global state, so that other programs of this
// module can run it as one of their roles.
package cloudcmd
