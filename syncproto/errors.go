package syncproto

import (
	"errors"
	"fmt"
)

// Code is the reason of an error, a reject or a wait on the wire. Codes are
// append-only: a number never changes its meaning (SPEC.md section "Errors").
type Code uint64

// The codes.
const (
	CodeNone           Code = 0
	CodeBadMessage     Code = 1  // not one well-formed message of the protocol
	CodeUnknownType    Code = 2  // a message type that the version does not have
	CodeTooLarge       Code = 3  // a limit was passed
	CodeOutOfOrder     Code = 4  // a message that the state does not allow
	CodeVersion        Code = 5  // no common protocol version
	CodeRefused        Code = 6  // not authenticated, not admitted, revoked: all look alike
	CodeUnknownAccount Code = 7  // authenticated, but this cloud has no such account
	CodeTimeout        Code = 8  // too slow to authenticate
	CodeBusy           Code = 9  // too much at once; come back
	CodeShutdown       Code = 10 // the cloud is stopping; come back
	CodeReadOnly       Code = 11 // the cloud's storage can not be written
	CodeDiskFull       Code = 12 // the cloud's storage is full
	CodeStorage        Code = 13 // the cloud's storage failed
	CodeSuperseded     Code = 14 // another session of this replica began
	CodeBadHeader      Code = 15 // a header that can not be read, or names an unknown format
	CodeSiblings       Code = 16 // SiblingsMax concurrent versions of one record
	CodeQuota          Code = 17 // the account may not hold more
	CodeNotClaimed     Code = 18 // a write in a session whose claim was not accepted
	CodeLimits         Code = 19 // the cloud declares limits below the minima
	CodeBadChunk       Code = 20 // a chunk whose size or header is wrong
	CodeIntercepted    Code = 21 // a second device entered the mailbox of an invite
	CodeRevoked        Code = 22 // statements that hold say that this device was revoked
)

var codeNames = map[Code]string{
	CodeNone: "none", CodeBadMessage: "bad message", CodeUnknownType: "unknown message type", CodeTooLarge: "too large",
	CodeOutOfOrder: "out of order", CodeVersion: "no common version", CodeRefused: "refused",
	CodeUnknownAccount: "unknown account", CodeTimeout: "timeout", CodeBusy: "busy", CodeShutdown: "shutting down",
	CodeReadOnly: "storage is read-only", CodeDiskFull: "storage is full", CodeStorage: "storage failed",
	CodeSuperseded: "superseded by a newer session", CodeBadHeader: "bad header", CodeSiblings: "too many concurrent versions",
	CodeQuota: "quota", CodeNotClaimed: "claim not accepted", CodeLimits: "limits below the minima", CodeBadChunk: "bad chunk",
	CodeIntercepted: "intercepted: a second device used the code", CodeRevoked: "revoked",
}

// String returns a few words of English, or the number of an unknown code.
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("code %d", uint64(c))
}

// Error is a violation of the protocol, or a refusal by the other end. Detail
// is for logs; it holds no ids and no value of a person, and is never sent.
type Error struct {
	Code   Code
	Detail string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return "protocol: " + e.Code.String()
	}
	return "protocol: " + e.Code.String() + ": " + e.Detail
}

// Is reports whether target is an *Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// CodeOf returns the code of err: that of the *Error it wraps, CodeNone for
// nil, and CodeStorage for any other error.
func CodeOf(err error) Code {
	if err == nil {
		return CodeNone
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeStorage
}

func errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}
