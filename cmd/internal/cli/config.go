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
	if err := checkBrake(c.BrakeMin, c.BrakePercent); err != nil {
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

// brakeFlags gives cmd flags for the limits of the brake, and returns what puts
// those that were given in place of the configured ones.
func brakeFlags(cmd *cobra.Command) func(*config) error {
	var records, percent int
	cmd.Flags().IntVar(&records, "brake-min", 0, fmt.Sprintf("so many deletions of a kind a day need no person's word (default: brake_min in config.json, else %d)", localstore.BrakeMinDefault))
	cmd.Flags().IntVar(&percent, "brake-percent", 0, fmt.Sprintf("nor do so many percent of the records of a kind (default: brake_percent in config.json, else %d)", localstore.BrakePercentDefault))
	return func(c *config) error {
		if cmd.Flags().Changed("brake-min") {
			c.BrakeMin = records
		}
		if cmd.Flags().Changed("brake-percent") {
			c.BrakePercent = percent
		}
		return checkBrake(c.BrakeMin, c.BrakePercent)
	}
}

func checkBrake(records, percent int) error {
	if records < 0 || percent < 0 || percent > 100 {
		return usagef("the limits of the brake: brake_min must not be negative, brake_percent must be 0 to 100")
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
