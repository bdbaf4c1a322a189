//go:build race

package syncproto

// poison: who still uses a buffer that was given back sees zeros.
const poison = true
