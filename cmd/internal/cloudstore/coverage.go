package cloudstore

import "time"

// Coverage is what is known of a kind after a loss, from what the cloud holds,
// from what it knows to have lost, and from what each device last told to hold
// (devices tell it again when they come back, also to a cloud that lost that,
// too). All counts are versions.
type Coverage struct {
	Had    uint64     `json:"had"`       // the most that the cloud or a device is known to have held
	LossAt *time.Time `json:"loss_at"`   // when versions were last found missing
	Proven bool       `json:"proven"`    // a device holds the same, and said so since
	At     *time.Time `json:"proven_at"` // when it last did
	ToCome []ToCome   `json:"to_come"`   // what devices hold that the cloud lacks
	Final  bool       `json:"final"`     // nothing more will come: Lost is known
	Lost   uint64     `json:"lost"`      // with Final: what nobody gave back
}

// ToCome is what one device has yet to give back.
type ToCome struct {
	Device   string    `json:"device"`
	Replica  string    `json:"replica"`
	Versions uint64    `json:"versions"` // exactly, once it is back; at most, before
	Back     bool      `json:"back"`     // it was here since the loss
	Count    uint64    `json:"count"`    // what it last proved to hold
	Digest   string    `json:"digest"`
	At       time.Time `json:"at"`
}

// Cover computes the coverage of a kind. gone names devices that will not come
// back: what only they held is lost.
func Cover(k *KindReport, replicas []ReplicaReport, gone map[string]bool) {
	c := Coverage{Had: max(k.Versions, k.LossHad), ToCome: []ToCome{}, Final: true}
	if k.LossHad > 0 {
		at := k.LossTime
		c.LossAt = &at
	}
	for _, r := range replicas {
		for _, p := range r.Proofs {
			if p.Kind != k.Kind {
				continue
			}
			back := p.Current
			if p.Equal && back {
				c.Proven = true
				if at := p.At; c.At == nil || at.After(*c.At) {
					c.At = &at
				}
			}
			c.Had = max(c.Had, p.Count)
			if p.Equal || gone[r.Device] {
				continue
			}
			t := ToCome{Device: r.Device, Replica: r.Replica, Back: back, Count: p.Count, Digest: p.Digest, At: p.At}
			switch {
			case back && p.Lacking > 0:
				t.Versions = p.Lacking
			case p.Count > k.Versions:
				t.Versions = p.Count - k.Versions
			}
			if t.Versions > 0 || !back && k.Versions < k.LossHad {
				c.ToCome = append(c.ToCome, t)
			}
		}
	}
	c.Final = len(c.ToCome) == 0
	if c.Final && c.Had > k.Versions {
		c.Lost = c.Had - k.Versions
	}
	k.Coverage = c
}
