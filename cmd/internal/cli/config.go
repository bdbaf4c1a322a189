package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/localstore"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// configFile holds what a person chose at init or join. It may be edited by
// hand, for example when the cloud moves to another address.
const configFile = "config.json"

// config is the content of configFile.
type config struct {
	Cloud      string `json:"cloud"`                 // ws:// or wss:// address
	Name       string `json:"name,omitempty"`        // what the person calls this device
	AllowPlain bool   `json:"allow_plain,omitempty"` // ws:// beyond loopback was agreed to
	Create     bool   `json:"create,omitempty"`      // made by init: may create the account on a cloud
	// Keys of the cloud's certificate, like sha256/...; they replace authority, name and dates.
	Pins []string `json:"pins,omitempty"`
	// Admission is the token of the cloud's operator, in hex; "" if it wants none.
	Admission string `json:"admission,omitempty"`
	// Data is the absolute path of the data folder; "" means data in the home folder.
	Data string `json:"data,omitempty"`
	// AppsGroup is the group, by name or number, that shares the data folder.
	AppsGroup string `json:"apps_group,omitempty"`
	// What may be deleted or emptied in a day without a person's word: so many
	// records of a kind, or so many percent of them; 0 means the default.
	BrakeMin     int `json:"brake_min,omitempty"`
	BrakePercent int `json:"brake_percent,omitempty"`
	// What records were before each change is kept for so many days that the agent
	// runs, and within so many bytes; 0 means the default.
	HistoryDays  int   `json:"history_days,omitempty"`
	HistoryBytes int64 `json:"history_bytes,omitempty"`
}

func readConfig(dir string) (config, error) {
	var c config
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.checkLimits(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if c.Cloud, err = cloudURL(c.Cloud, c.AllowPlain); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := c.pins(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := parseAdmission(c.Admission); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if c.Data != "" && !filepath.IsAbs(c.Data) {
		return c, fmt.Errorf("%s: data: %q is not an absolute path", path, c.Data)
	}
	if c.AppsGroup != "" && c.Data == "" {
		return c, fmt.Errorf("%s: apps_group without data: the apps can not enter the home folder", path)
	}
	return c, nil
}

// pins reads the pins of the cloud's key.
func (c *config) pins() ([]ws.Pin, error) {
	if len(c.Pins) > seal.InvitePinsMax {
		return nil, usagef("at most %d pins of the cloud's key", seal.InvitePinsMax)
	}
	var pins []ws.Pin
	for _, text := range c.Pins {
		p, err := ws.ParsePin(text)
		if err != nil {
			return nil, usagef("%v; 'sidekeep-cloud serve' logs the one of its certificate", err)
		}
		pins = append(pins, p)
	}
	return pins, nil
}

// limitFlags gives cmd flags for the limits of the brake and of the history, and
// returns what puts those that were given in place of the configured ones.
func limitFlags(cmd *cobra.Command) func(*config) error {
	var given config
	fl := cmd.Flags()
	fl.IntVar(&given.BrakeMin, "brake-min", 0, fmt.Sprintf("so many deletions of a kind a day need no person's word (default: brake_min in config.json, else %d)", localstore.BrakeMinDefault))
	fl.IntVar(&given.BrakePercent, "brake-percent", 0, fmt.Sprintf("nor do so many percent of the records of a kind (default: brake_percent in config.json, else %d)", localstore.BrakePercentDefault))
	fl.IntVar(&given.HistoryDays, "history-days", 0, fmt.Sprintf("keep what records were before each change for so many days of running (default: history_days in config.json, else %d)", localstore.HistoryDaysDefault))
	fl.Int64Var(&given.HistoryBytes, "history-bytes", 0, fmt.Sprintf("but at most so many bytes of it (default: history_bytes in config.json, else %d)", localstore.HistoryBytesDefault))
	return func(c *config) error {
		if fl.Changed("brake-min") {
			c.BrakeMin = given.BrakeMin
		}
		if fl.Changed("brake-percent") {
			c.BrakePercent = given.BrakePercent
		}
		if fl.Changed("history-days") {
			c.HistoryDays = given.HistoryDays
		}
		if fl.Changed("history-bytes") {
			c.HistoryBytes = given.HistoryBytes
		}
		return c.checkLimits()
	}
}

// historyDaysMax keeps the days of the history countable in seconds.
const historyDaysMax = 36500

func (c *config) checkLimits() error {
	if c.BrakeMin < 0 || c.BrakePercent < 0 || c.BrakePercent > 100 {
		return usagef("the limits of the brake: brake_min must not be negative, brake_percent must be 0 to 100")
	}
	if c.HistoryDays < 0 || c.HistoryDays > historyDaysMax || c.HistoryBytes < 0 {
		return usagef("the limits of the history: history_days must be 0 to %d, history_bytes must not be negative; 0 means the default", historyDaysMax)
	}
	return nil
}

func writeConfig(dir string, c config) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(dir, configFile), func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
}

const allowPlainHelp = "accept ws:// to another machine: whoever is on the line sees the account's key, counts and times and can pose as the cloud; contents stay sealed"

// cloudURL checks the address of a cloud and returns it with scheme and host in
// lower case. A path may follow, for a cloud behind a proxy.
func cloudURL(s string, allowPlain bool) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", usagef("cloud address %q: not an address like wss://cloud.example.org", s)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "":
		return "", usagef("cloud address %q: must look like wss://cloud.example.org", s)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", usagef("cloud address %q: takes no user name, query or fragment", s)
	case u.Scheme == "ws" && !allowPlain && !loopback(u.Hostname()):
		return "", &Error{Op: "use cloud", Object: s, Code: ExitUsage,
			Cause: fmt.Errorf("ws:// is not encrypted on the way and %s is not this machine", u.Hostname()),
			Hint:  "use wss://, or give --allow-plain after reading in --help what it risks"}
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/"), nil
}

// loopback reports whether host can only be this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback() && net.ParseIP(host) != nil
}
