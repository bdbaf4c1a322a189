package seal

import (
	"maps"
	"slices"
)

// Trust is what a set of statements comes to: which devices are trusted now, by
// whom, and who ended the others. It depends on the set alone, never on the order
// in which it was learned, nor on a clock.
//
// The root stands above all. Devices have ranks:
//
//	1    certified by the root twice or more, under different serials: the words
//	     were used again for it
//	2    certified by the root once
//	n+1  certified by a trusted device of rank n (of rank 1 or 2: rank 3)
//
// A device is trusted if a chain of at most ChainMax certificates leads from the
// root to it, through trusted devices, and nothing that counts revokes it:
//
//   - What the root revokes is out for good, and all that it signed is void.
//   - A device that is trusted revokes those of higher rank numbers than its own.
//   - Devices of one rank (from rank 2 on) revoke each other, all at once: two
//     that revoke each other are both out, where one set has both. A cloud counts
//     none from a device that it knows to be revoked: the first stays, a thief who
//     strikes back gains nothing, and the words decide.
//   - A device can revoke neither the root nor one of a lower rank number. It
//     can always revoke itself.
//
// What a device certified ends with it, unless somebody else who is trusted
// certified it, too: that is how a device is kept.
type Trust struct {
	depth   map[DeviceKey]int // shortest chain to those the root has not cut; 0 is the root itself
	devices map[DeviceKey]*Standing
}

// Standing is what is decided about one device.
type Standing struct {
	Device  DeviceKey
	Trusted bool
	Rank    int         // 0 if a trusted device, or the root, never came to certify it
	Chain   []Cert      // from the root to the device, if it is trusted
	Issuers []DeviceKey // all who certified it, ascending; the account id for the root
	Ended   *Revoke     // the revocation that counts, if there is one
}

// By returns who certified the device, as far as it counts: the issuer at the
// end of its chain, or, of one that is not trusted, any that is known.
func (s *Standing) By() DeviceKey {
	if n := len(s.Chain); n > 0 {
		return s.Chain[n-1].Issuer
	}
	if len(s.Issuers) > 0 {
		return s.Issuers[0]
	}
	return DeviceKey{}
}

// Trust decides, see type Trust.
func (s *Statements) Trust() *Trust {
	if s.trust == nil {
		s.trust = s.decide()
	}
	return s.trust
}

// Trusted reports whether a device is trusted now.
func (t *Trust) Trusted(device DeviceKey) bool {
	d := t.devices[device]
	return d != nil && d.Trusted
}

// Of returns what is decided about a device, or nil if nothing is known of it.
// The caller does not change it.
func (t *Trust) Of(device DeviceKey) *Standing { return t.devices[device] }

// Devices returns all that any statement certifies or revokes, in the order of
// their keys.
func (t *Trust) Devices() []*Standing {
	var all []*Standing
	for _, d := range t.devices {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *Standing) int { return compareKeys(a.Device, b.Device) })
	return all
}

// standing reports whether what the issuer signs belongs into the set: it is
// the root, or a chain that the root has not cut leads to it.
func (t *Trust) standing(issuer DeviceKey) bool {
	_, ok := t.depth[issuer]
	return ok
}

// known is the set, sorted for the decision.
type known struct {
	root    DeviceKey
	certs   map[DeviceKey][]*Cert   // by issuer, in the order of their ids
	revokes map[DeviceKey][]*Revoke // by issuer, in the order of their ids
	cut     map[DeviceKey]bool      // what the root revoked
}

func (s *Statements) decide() *Trust {
	k := s.sorted()
	t := &Trust{depth: k.depths(), devices: map[DeviceKey]*Standing{}}
	k.leaveOut(t.depth)
	t.list(k)
	// The two ranks that the root gives. A chain of one certificate, both.
	var first, second []candidate
	for d, certs := range byDevice(k.certs[k.root]) {
		c := candidate{d, []Cert{*certs[0]}}
		if len(certs) > 1 {
			first = append(first, c)
		} else {
			second = append(second, c)
		}
	}
	trusted := t.admit(k, 1, first, []DeviceKey{k.root})
	trusted = append(trusted, t.admit(k, 2, second, append([]DeviceKey{k.root}, trusted...))...)
	above := []DeviceKey{}
	for rank := 3; len(trusted) > 0 && rank <= ChainMax+1; rank++ {
		var next []candidate
		for _, issuer := range trusted {
			for _, c := range k.certs[issuer] {
				next = append(next, candidate{c.Device, append(slices.Clone(t.devices[issuer].Chain), *c)})
			}
		}
		above = append(above, trusted...)
		trusted = t.admit(k, rank, next, above)
	}
	return t
}

// candidate is a device that is to get a rank, with the chain that leads to it.
type candidate struct {
	device DeviceKey
	chain  []Cert
}

// admit decides about the candidates of one rank, all at once, and returns those
// that are trusted. above are the trusted devices of lower rank numbers.
func (t *Trust) admit(k *known, rank int, candidates []candidate, above []DeviceKey) (trusted []DeviceKey) {
	slices.SortFunc(candidates, func(a, b candidate) int {
		if c := compareKeys(a.device, b.device); c != 0 {
			return c
		}
		return compareIDs(last(a.chain), last(b.chain))
	})
	var here []DeviceKey
	for _, issuer := range above {
		t.end(k.revokes[issuer])
	}
	for _, c := range candidates {
		if d := t.devices[c.device]; d.Rank == 0 && d.Ended == nil && c.device != k.root {
			d.Rank, d.Chain = rank, c.chain
			here = append(here, c.device)
		}
	}
	struck := map[DeviceKey]*Revoke{}
	for _, issuer := range here {
		for _, r := range k.revokes[issuer] {
			for _, d := range r.Devices {
				of := t.devices[d]
				if of.Rank == rank && (rank > 1 || d == issuer) && struck[d] == nil {
					struck[d] = r
				}
			}
		}
	}
	for _, device := range here {
		d := t.devices[device]
		if d.Ended = struck[device]; d.Ended != nil {
			d.Chain = nil
			continue
		}
		d.Trusted = true
		trusted = append(trusted, device)
	}
	return trusted
}

// end applies revocations to what has no rank yet.
func (t *Trust) end(revokes []*Revoke) {
	for _, r := range revokes {
		for _, d := range r.Devices {
			if of := t.devices[d]; of.Rank == 0 && of.Ended == nil {
				of.Ended = r
			}
		}
	}
}

func last(chain []Cert) StatementID { return Statement{Cert: &chain[len(chain)-1]}.ID() }

// leaveOut drops what is signed by who has no standing: it is void.
func (k *known) leaveOut(depth map[DeviceKey]int) {
	void := func(issuer DeviceKey) bool { _, ok := depth[issuer]; return !ok }
	maps.DeleteFunc(k.certs, func(issuer DeviceKey, _ []*Cert) bool { return void(issuer) })
	maps.DeleteFunc(k.revokes, func(issuer DeviceKey, _ []*Revoke) bool { return void(issuer) })
}

// list enters every device that a statement names, with all its issuers.
func (t *Trust) list(k *known) {
	enter := func(d DeviceKey) *Standing {
		if t.devices[d] == nil {
			t.devices[d] = &Standing{Device: d}
		}
		return t.devices[d]
	}
	for issuer, certs := range k.certs {
		for _, c := range certs {
			d := enter(c.Device)
			if i, found := slices.BinarySearchFunc(d.Issuers, issuer, compareKeys); !found {
				d.Issuers = slices.Insert(d.Issuers, i, issuer)
			}
		}
	}
	for _, revokes := range k.revokes {
		for _, r := range revokes {
			for _, d := range r.Devices {
				enter(d)
			}
		}
	}
}

func (s *Statements) sorted() *known {
	k := &known{root: DeviceKey(s.account), certs: map[DeviceKey][]*Cert{}, revokes: map[DeviceKey][]*Revoke{}, cut: map[DeviceKey]bool{}}
	ids := make([]StatementID, 0, len(s.all))
	for id := range s.all {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareIDs)
	for _, id := range ids {
		if c := s.all[id].Cert; c != nil {
			k.certs[c.Issuer] = append(k.certs[c.Issuer], c)
			continue
		}
		r := s.all[id].Revoke
		if r == nil {
			continue
		}
		k.revokes[r.Issuer] = append(k.revokes[r.Issuer], r)
		for _, d := range r.Devices {
			k.cut[d] = k.cut[d] || r.Issuer == k.root
		}
	}
	return k
}

// depths gives the length of the shortest chain to each device that leads past
// nobody whom the root revoked.
func (k *known) depths() map[DeviceKey]int {
	depth := map[DeviceKey]int{k.root: 0}
	row := []DeviceKey{k.root}
	for d := 1; d <= ChainMax && len(row) > 0; d++ {
		var next []DeviceKey
		for _, issuer := range row {
			for _, c := range k.certs[issuer] {
				if _, seen := depth[c.Device]; !seen && !k.cut[c.Device] {
					depth[c.Device] = d
					next = append(next, c.Device)
				}
			}
		}
		row = next
	}
	return depth
}

func byDevice(certs []*Cert) map[DeviceKey][]*Cert {
	m := map[DeviceKey][]*Cert{}
	for _, c := range certs {
		m[c.Device] = append(m[c.Device], c)
	}
	return m
}
