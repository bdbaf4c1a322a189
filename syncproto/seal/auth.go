package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"net"
	"net/url"
	"strings"

	"sidekeep/localstore/record"
)

// AuthInput is what a device signs to authenticate.
type AuthInput struct {
	DeviceNonce [32]byte
	CloudNonce  [32]byte
	Account     Account
	Device      DeviceKey
	Replica     record.ReplicaID
	Token       [16]byte // newest claim token of the hello
	Transcript  [32]byte // of the hello and the challenge, see Transcript
	Origin      string   // configured origin, see Origin
}

const contextAuth = "sidekeep/v1/auth\x00"

// OriginBytesMax is the length of the longest origin.
const OriginBytesMax = 300

// AuthMessage returns the bytes that the device signs and the cloud verifies:
// SPEC.md "Keys", authentication.
func AuthMessage(in AuthInput) []byte {
	b := append(make([]byte, 0, 320), contextAuth...)
	b = appendHead(b, majorArray, 8)
	b = appendBytes(b, in.DeviceNonce[:])
	b = appendBytes(b, in.CloudNonce[:])
	b = appendBytes(b, in.Account[:])
	b = appendBytes(b, in.Device[:])
	b = appendBytes(b, in.Replica[:])
	b = appendBytes(b, in.Token[:])
	b = appendBytes(b, in.Transcript[:])
	return appendText(b, in.Origin)
}

// VerifyAuth reports whether sig is the signature of in.Device over in.
func VerifyAuth(in AuthInput, sig []byte) bool {
	return len(sig) == ed25519.SignatureSize && ed25519.Verify(in.Device[:], AuthMessage(in), sig)
}

// Transcript is the SHA-256 of the hello message followed by the challenge
// message, each exactly as sent. Both are single CBOR items, so their border is clear.
func Transcript(hello, challenge []byte) [32]byte {
	h := sha256.New()
	h.Write(hello)
	h.Write(challenge)
	return [32]byte(h.Sum(nil))
}

// Origin returns the origin of a cloud's address, as both ends sign and compare
// it: scheme://host:port, lower case, the port always there, no path. The
// scheme is wss or ws (https and http are read as these).
func Origin(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("cloud address can not be read")
	}
	scheme, port := "", u.Port()
	switch strings.ToLower(u.Scheme) {
	case "wss", "https":
		scheme = "wss"
	case "ws", "http":
		scheme = "ws"
	default:
		return "", errors.New("cloud address must begin with wss:// or ws://")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "" || u.User != nil {
		return "", errors.New("cloud address needs a host, and no user name")
	}
	if port == "" {
		port = map[string]string{"wss": "443", "ws": "80"}[scheme]
	}
	origin := scheme + "://" + net.JoinHostPort(host, port)
	if len(origin) > OriginBytesMax {
		return "", errors.New("cloud address is too long")
	}
	return origin, nil
}
