package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// inviteLine is one line of the answer to POST /invite: steps, then an outcome.
type inviteLine struct {
	Step    *InviteStep `json:"step,omitempty"`
	Outcome string      `json:"outcome,omitempty"` // in the last line; a name of inviteOutcomes
	Error   string      `json:"error,omitempty"`
}

// inviteOutcomes names the errors of an invite on the socket.
var inviteOutcomes = map[string]error{
	"done": nil, "not_reachable": ErrNotReachable, "refused": ErrRefused, "unknown_account": ErrUnknownAccount, "forked": ErrForked,
	"cloud_fails": ErrCloudFails, "inviting": ErrInviting, "untaken": ErrUntaken, "left": syncproto.ErrInviteLeft,
	"declined": syncproto.ErrInviteDeclined, "forged": syncproto.ErrInviteForged, "chain": seal.ErrChain, "intercepted": &syncproto.Error{Code: syncproto.CodeIntercepted},
	"timeout": &syncproto.Error{Code: syncproto.CodeTimeout}, "busy": &syncproto.Error{Code: syncproto.CodeBusy},
}

// serveInvite runs an invite for as long as the caller listens.
func (a *Agent) serveInvite(w http.ResponseWriter, r *http.Request) {
	out := newLines(w)
	err := a.Invite(r.Context(), func(s InviteStep) { out.put(inviteLine{Step: &s}) })
	last := inviteLine{Outcome: "failed"}
	for name, sentinel := range inviteOutcomes {
		if err == sentinel || sentinel != nil && errors.Is(err, sentinel) {
			last.Outcome = name
		}
	}
	if err != nil {
		last.Error = err.Error()
	}
	out.put(last)
}

func (a *Agent) serveInviteAnswer(yes bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if err := a.AnswerInvite(yes); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	}
}

// Invite has the agent invite a device, with the errors of Agent.Invite. It is
// withdrawn when ctx ends.
func (c *Client) Invite(ctx context.Context, tell func(InviteStep)) error {
	resp, err := c.do(ctx, http.MethodPost, "/invite")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var l inviteLine
		if err := dec.Decode(&l); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("read the agent's answer: %w", err)
		}
		if l.Step != nil {
			tell(*l.Step)
			continue
		}
		sentinel, known := inviteOutcomes[l.Outcome]
		switch {
		case !known:
			return fmt.Errorf("the agent: %s", l.Error)
		case sentinel == nil:
			return nil
		}
		return fmt.Errorf("%w%s", sentinel, strings.TrimPrefix(l.Error, sentinel.Error()))
	}
}

// AnswerInvite says whether the device that asks may come in.
func (c *Client) AnswerInvite(ctx context.Context, yes bool) error {
	path := "/invite/no"
	if yes {
		path = "/invite/yes"
	}
	resp, err := c.do(ctx, http.MethodPost, path)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
