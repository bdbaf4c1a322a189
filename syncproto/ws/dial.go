package ws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

// ErrRedirect is wrapped by Dial's error when the server answers with a
// redirect. The other address is not contacted.
var ErrRedirect = errors.New("the server redirects, which is refused")

// ErrSubprotocol is wrapped by Dial's error when the server does not speak
// Subprotocol.
var ErrSubprotocol = errors.New("the server does not speak " + Subprotocol)

// StatusError is the answer of a server that did not upgrade.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// DialOptions are the device's. The zero value dials with the system's
// certificates and clock.
type DialOptions struct {
	// ReadLimit is the largest message to accept, in bytes; 0 means 512 KiB.
	ReadLimit int
	// TLS is the base configuration: root certificates, Time, verification of
	// pins. Nil means the system's. Versions below 1.3 are refused in any case.
	TLS *tls.Config
	// DialContext opens the network connection. Nil means a net.Dialer.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	readLimitDefault      = 512 * 1024
	responseHeaderMax     = 16 * 1024
	dialTimeout           = 30 * time.Second
	responseHeaderTimeout = 30 * time.Second
)

// Dial opens a websocket to a ws or wss URL. Redirects are refused, there is no
// compression, no cookie and no proxy from the environment; TLS is 1.3 or newer.
func Dial(ctx context.Context, rawURL string, o DialOptions) (*Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return nil, errors.New("dial: not a ws or wss address")
	}
	conf := &tls.Config{}
	if o.TLS != nil {
		conf = o.TLS.Clone()
	}
	conf.MinVersion = tls.VersionTLS13
	conf.NextProtos = []string{"http/1.1"}
	dial := o.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	var gather *gatherer
	gathering := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		gather = &gatherer{Conn: conn}
		return gather, nil
	}
	tr := &http.Transport{
		DialContext: gathering, TLSClientConfig: conf, TLSHandshakeTimeout: dialTimeout, DisableKeepAlives: true, DisableCompression: true,
		ResponseHeaderTimeout: responseHeaderTimeout, MaxResponseHeaderBytes: responseHeaderMax,
	}
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return ErrRedirect }}
	c, resp, err := websocket.Dial(ctx, rawURL, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
		HTTPHeader: http.Header{"User-Agent": {""}}, // that is: none. It takes bytes, and is nobody's business
	})
	if err != nil {
		return nil, dialError(u, resp, err)
	}
	if c.Subprotocol() != Subprotocol {
		c.CloseNow()
		return nil, fmt.Errorf("dial %s: %w", u.Host, ErrSubprotocol)
	}
	limit := o.ReadLimit
	if limit == 0 {
		limit = readLimitDefault
	}
	c.SetReadLimit(int64(limit))
	return &Conn{c: c, gather: gather, remote: u.Host}, nil
}

func dialError(u *url.URL, resp *http.Response, err error) error {
	switch {
	case errors.Is(err, ErrRedirect):
		return fmt.Errorf("dial %s: %w", u.Host, ErrRedirect)
	case resp != nil && resp.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("dial %s: %w", u.Host, &StatusError{resp.StatusCode})
	}
	return fmt.Errorf("dial %s: %w", u.Host, err)
}
