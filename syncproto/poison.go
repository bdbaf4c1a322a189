//go:build !race

package syncproto

const poison = false
