package cli

import (
	"errors"
	"syscall"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/localstore/backup"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/ws"
)

// forkedHint says what makes a cloud refuse an identity again and again, and when sync goes on.
const forkedHint = "everything here is safe. Either the cloud lost its data or was put back from a copy many times: sync goes on by itself when 24 hours have passed; " +
	"or this home was copied to another device: join the account there anew instead"

const hintFull = "the disk is full: make some space, then try again; what was saved before is safe"

// known are the errors of the packages below for which there is an exit code of
// their own or something to tell a person. The first that matches counts.
var known = []struct {
	is   error
	code int
	hint string
}{
	{localstore.ErrDamaged, ExitDamaged, "run 'sidekeep verify': it sets a damaged database aside, and brings what can be read of it into a new one"},
	{backup.ErrUnproven, ExitFailed, "no back-up was made; the storage it is on may be failing: try another"},
	{localstore.ErrFull, ExitFailed, hintFull},
	{syscall.ENOSPC, ExitFailed, hintFull},
	{syscall.EDQUOT, ExitFailed, hintFull},
	{localstore.ErrReadOnly, ExitFailed, "look at the permissions of the home folder and its file system"},
	{localstore.ErrBusy, ExitFailed, "close the program that uses the database, or try again"},
	{localstore.ErrChunk, ExitFailed, "'sidekeep sync' fetches pieces that have not arrived yet; 'sidekeep verify' tells missing from damaged"},
	{localstore.ErrPurged, ExitFailed, "deleted records can be brought back for 30 days"},
	{localstore.ErrForkLimit, ExitRefused, forkedHint},
	{agent.ErrHeld, ExitHeld, "'sidekeep held' shows what waits; accept or reject it"},
	{agent.ErrPlain, ExitUsage, "use wss://, or set allow_plain in config.json after reading in 'sidekeep help init' what it risks"},
	{agent.ErrUnknownAccount, ExitRefused, "either the words have a slip and name another account, or this cloud is new or has lost its data: then run 'sidekeep sync' on a device that has the data, and try again"},
	{agent.ErrForked, ExitRefused, forkedHint},
	{ws.ErrRedirect, ExitRefused, "redirects are never followed; put the cloud's own address into config.json, or sign in to this network first"},
	{agent.ErrNoCloud, ExitUnreachable, "everything here is safe; this network may want you to sign in (open any page in a browser), or the address or port is another server's"},
	{agent.ErrCertificate, ExitUnreachable, "everything here is safe; look at this device's date and at the cloud's address; if both are right, somebody may be in between"},
	{agent.ErrRevoked, ExitRefused, "everything here is safe and stays; 'sidekeep devices' shows who did it. If you want this device in, use the words: 'sidekeep join --words-file FILE'; if another device must go for good, 'sidekeep devices revoke NAME --words-file FILE'"},
	{agent.ErrVersion, ExitRefused, "everything here is safe; update sidekeep on this device, or have the cloud's operator update the cloud, whichever is older"},
	{agent.ErrRefused, ExitRefused, "the cloud's operator may have to admit the account, or knows this address by another name; 'sidekeep status' shows the account id"},
	{agent.ErrCloudFails, ExitNotInSync, "everything here is safe, and goes on by itself when the cloud can serve again; its operator sees the reason there"},
	{agent.ErrNotReachable, ExitUnreachable, "everything here is safe; look at the network and the cloud's address, then try again"},
	{agent.ErrNotKept, ExitNotInSync, hintNotKept},
	{agent.ErrWithholds, ExitNotInSync, hintWithholds},
	{agent.ErrRestoring, ExitNotInSync, "nothing of it is lost here, and what is edited here is saved and sent; when the operator has finished, the next sync compares it and gives the cloud what it still lacks"},
	{agent.ErrNowhere, ExitNotInSync, hintNowhere},
	{agent.ErrNotInSync, ExitNotInSync, "everything here is safe; 'sidekeep status' shows what differs, and another sync goes on from here"},
}

// explain turns an error of the packages below into one with an exit code and a
// hint where there is one. op says what was being done.
func explain(op string, err error) error {
	if err == nil {
		return nil
	}
	var mine *Error
	var usage *usageError
	if errors.As(err, &mine) || errors.As(err, &usage) {
		return err
	}
	e := &Error{Op: op, Cause: err}
	var newer *localstore.NewerFormatError
	var limit *record.LimitError
	switch {
	case errors.As(err, &newer):
		e.Hint = "update sidekeep on this device; nothing was changed"
		return e
	case errors.As(err, &limit):
		e.Code = ExitRefused
		return e
	}
	for _, k := range known {
		if errors.Is(err, k.is) {
			e.Code, e.Hint = k.code, k.hint
			return e
		}
	}
	return e
}
