package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"sidekeep/syncproto/seal"
)

// statementsBytesMax bounds the body of POST /statements.
const statementsBytesMax = 64 * 1024

// serveStatements takes up what a person said about devices: a JSON array of
// statements in base64.
func (a *Agent) serveStatements(w http.ResponseWriter, r *http.Request) {
	var raw [][]byte
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, statementsBytesMax)).Decode(&raw); err != nil {
		http.Error(w, "not a list of statements", http.StatusBadRequest)
		return
	}
	list := make([]seal.Statement, len(raw))
	for i, b := range raw {
		st, err := seal.ParseStatement(b)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		list[i] = st
	}
	if err := a.Tell(list...); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// Tell has the agent take up statements of this home, durably, and give them to
// the cloud.
func (c *Client) Tell(ctx context.Context, list ...seal.Statement) error {
	raw := make([][]byte, len(list))
	for i, st := range list {
		raw[i] = st.Marshal()
	}
	b, err := json.Marshal(raw)
	if err != nil {
		return err
	}
	u := url.URL{Scheme: "http", Host: "agent", Path: "/statements"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the agent: it answered %s", resp.Status)
	}
	return nil
}
