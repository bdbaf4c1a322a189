package main

import "slices"

// cover chooses size bytes of content that help most samples: for each epoch of
// the samples the segment whose strings of dmer bytes occur in most samples and
// were not chosen before (the COVER method of zstd's dictionary builder: Liao,
// Petri, Moffat and Wirth, "Effective construction of relative Lempel-Ziv
// dictionaries", WWW 2016). The best segments stand last, where offsets are small.
func cover(samples [][]byte, size, segment, dmer int) []byte {
	type count struct{ n, last int }
	counts := map[string]*count{}
	for i, s := range samples {
		for j := 0; j+dmer <= len(s); j++ {
			c := counts[string(s[j:j+dmer])]
			if c == nil {
				c = &count{last: -1}
				counts[string(s[j:j+dmer])] = c
			}
			if c.last != i {
				c.n, c.last = c.n+1, i
			}
		}
	}
	for _, c := range counts {
		if c.n < 4 { // too rare to be worth a place
			c.n = 0
		}
	}
	epochs := max(1, size/segment/4)
	per := max(1, len(samples)/epochs)
	type chosen struct {
		score int
		text  []byte
	}
	var all []chosen
	total, idle := 0, 0
	for e := 0; total < size && idle < epochs; e = (e + 1) % epochs {
		best := chosen{}
		for _, s := range samples[e*per : min((e+1)*per, len(samples))] {
			score := 0
			var window []*count
			seen := map[*count]int{}
			for j := 0; j+dmer <= len(s); j++ {
				c := counts[string(s[j:j+dmer])]
				window = append(window, c)
				if seen[c]++; seen[c] == 1 {
					score += c.n
				}
				if len(window) > segment-dmer+1 {
					if seen[window[0]]--; seen[window[0]] == 0 {
						score -= window[0].n
					}
					window = window[1:]
				}
				if score > best.score {
					best = chosen{score, s[j+dmer-(len(window)-1)-dmer : j+dmer]}
				}
			}
		}
		if best.score == 0 {
			idle++
			continue
		}
		idle = 0
		best.text = slices.Clone(best.text)
		for j := 0; j+dmer <= len(best.text); j++ {
			counts[string(best.text[j:j+dmer])].n = 0
		}
		all = append(all, best)
		total += len(best.text)
	}
	slices.SortStableFunc(all, func(a, b chosen) int { return a.score - b.score })
	var out []byte
	for _, c := range all {
		out = append(out, c.text...)
	}
	if len(out) > size {
		out = out[len(out)-size:]
	}
	return out
}
