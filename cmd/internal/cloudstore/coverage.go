package cloudstore

import "time"

// Coverage is what is known of a kind after a loss, from what the cloud holds,
// from the records that it knows to have held, and from what each device last told
// to hold (devices tell it again when they come back, also to a cloud that lost
// that, too). Counts are versions, one a record as long as nobody edits it
// elsewhere; Missing and Lost are records.
type Coverage struct {
	Had     uint64     `json:"had"`       // the most that the cloud or a device is known to have held
	Missing uint64     `json:"missing"`   // the cloud held them once, and holds nothing of them now
	LossAt  *time.Time `json:"loss_at"`   // when versions were last found missing
	Proven  bool       `json:"proven"`    // a device holds the same, and said so since
	At      *time.Time `json:"proven_at"` // when it last did
	ToCome  []ToCome   `json:"to_come"`   // what devices hold that the cloud lacks
	Final   bool       `json:"final"`     // nothing more will come: Lost is known
	Lost    uint64     `json:"lost"`      // with Final: what nobody gave back
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

// Cover computes the coverage of a kind. gone names devices, or replicas, that
// will not come back: what only they held is lost.
func Cover(k *KindReport, replicas []ReplicaReport, gone map[string]bool) {
	c := Coverage{Had: k.Versions + k.Missing, Missing: k.Missing, ToCome: []ToCome{}}
	if k.LossHad > 0 {
		at := k.LossTime
		c.LossAt = &at
	}
	lost := k.Missing
	if k.Partial {
		c.Had = max(c.Had, k.LossHad)
		lost = max(lost, beyond(k.LossHad, k.Versions))
	}
	for _, r := range replicas {
		for _, p := range r.Proofs {
			if p.Kind != k.Kind {
				continue
			}
			if p.Equal && p.Current {
				c.Proven = true
				if at := p.At; c.At == nil || at.After(*c.At) {
					c.At = &at
				}
			}
			if p.Equal || p.Agreed && p.Current {
				continue // all that it held then is here
			}
			more := beyond(p.Count, k.Versions)
			c.Had = max(c.Had, k.Versions+more)
			if gone[r.Device] || gone[r.Replica] {
				if p.Current { // it told to hold more, and left
					lost = max(lost, more)
				}
				continue
			}
			t := ToCome{Device: r.Device, Replica: r.Replica, Versions: more, Back: p.Current, Count: p.Count, Digest: p.Digest, At: p.At}
			switch {
			case p.Current && p.Lacking > 0:
				t.Versions = p.Lacking
			case !p.Current:
				t.Versions = min(lost, p.Count)
				if !p.Agreed {
					t.Versions = max(t.Versions, more)
				}
			}
			if t.Versions > 0 {
				c.ToCome = append(c.ToCome, t)
			}
		}
	}
	if c.Final = len(c.ToCome) == 0; c.Final {
		c.Lost = lost
	}
	k.Coverage = c
}

// beyond returns by how much n is more than held.
func beyond(n, held uint64) uint64 { return max(n, held) - held }
