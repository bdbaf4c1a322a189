package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"sidekeep/localstore/record"
)

// auditEvery is how many rounds pass between two looks at everything.
const auditEvery = 20

// crash kills agents and cloud at random moments, again and again, while edits
// go on, and checks that nothing acknowledged is lost.
type crash struct {
	*story
	b       *bench
	rand    *rand.Rand
	cloud   *server
	phones  []*handset
	writers []*writer
	kills   map[string]int
	audits  int
}

// runCrash runs the loop in a folder of its own. The seed decides who is killed
// after how long and what is edited; the machine's timing decides the rest.
func runCrash(ctx context.Context, stdout io.Writer, rounds int, seed uint64, keep bool) error {
	b, err := newBench("sidekeep-crash")
	if err != nil {
		return err
	}
	c := &crash{story: newStory(stdout), b: b, rand: rand.New(rand.NewPCG(seed, 0)), cloud: b.server("cloud"), kills: map[string]int{}}
	c.say("seed %d; again: go run ./cmd/sidekeep-lab crash --rounds %d --seed %d", seed, rounds, seed)
	for i, name := range []string{"handset 1", "handset 2"} {
		h := b.handset(name)
		c.phones = append(c.phones, h)
		c.writers = append(c.writers, newWriter(h, seed+uint64(i)+1))
	}
	err = c.run(ctx, rounds)
	if keep || err != nil {
		keep = true
		fmt.Fprintf(stdout, "everything is in %s\n", b.dir)
	}
	return errors.Join(err, b.Close(keep))
}

func (c *crash) run(ctx context.Context, rounds int) error {
	if err := c.cloud.on(ctx); err != nil {
		return err
	}
	words, err := c.phones[0].create(ctx, c.cloud.url())
	if err != nil {
		return err
	}
	if err := c.phones[0].on(); err != nil {
		return err
	}
	if err := c.settled(ctx); err != nil {
		return err
	}
	if err := c.phones[1].join(ctx, c.cloud.url(), words); err != nil {
		return err
	}
	if err := c.phones[1].on(); err != nil {
		return err
	}
	if err := c.settled(ctx); err != nil {
		return err
	}
	c.say("a cloud and two handsets run; %d rounds of kill -9 begin", rounds)
	for done := 0; done < rounds; {
		n := min(auditEvery, rounds-done)
		if err := c.storm(ctx, n); err != nil {
			return err
		}
		done += n
		if err := c.audit(ctx); err != nil {
			return fmt.Errorf("after %d rounds: %w", done, err)
		}
	}
	return c.finish(ctx)
}

// storm kills n times while both writers write.
func (c *crash) storm(ctx context.Context, n int) error {
	writing, stop := context.WithCancel(ctx)
	var writers sync.WaitGroup
	for _, w := range c.writers {
		writers.Go(func() { w.run(writing) })
	}
	err := c.killing(ctx, n)
	stop()
	writers.Wait()
	for _, w := range c.writers {
		err = errors.Join(err, w.fault)
	}
	return err
}

func (c *crash) killing(ctx context.Context, n int) error {
	for range n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(20+c.rand.IntN(400)) * time.Millisecond):
		}
		victim := c.rand.IntN(3)
		if victim == 2 {
			if err := c.cloud.proc.ended(); err != nil {
				return err
			}
			c.cloud.crash()
			c.kills[c.cloud.name]++
			if err := c.cloud.on(ctx); err != nil {
				return err
			}
			continue
		}
		h := c.phones[victim]
		if err := h.agent.ended(); err != nil {
			return err
		}
		h.crash()
		c.kills[h.name]++
		if err := h.on(); err != nil {
			return err
		}
	}
	return nil
}

// settled waits until every handset that is on is proven in sync, and all agree.
func (c *crash) settled(ctx context.Context) error {
	return until(ctx, "all are in sync again", 60*time.Second, func() (string, error) {
		digests := map[record.Kind]string{}
		for _, h := range c.phones {
			if h.agent == nil {
				continue
			}
			if err := h.agent.ended(); err != nil {
				return "", err
			}
			s, err := h.live(ctx)
			if err != nil {
				return err.Error(), nil
			}
			if no := s.unproven(); no != "" {
				h.hurry(ctx)
				return h.name + ": " + no, nil
			}
			for _, kind := range record.Kinds {
				if d := s.Kinds[kind].Digest; digests[kind] == "" {
					digests[kind] = d
				} else if digests[kind] != d {
					return h.name + " differs in " + string(kind), nil
				}
			}
		}
		return "", nil
	})
}

// hurry asks the agent not to wait for its next attempt.
func (h *handset) hurry(ctx context.Context) {
	client := h.control()
	defer client.CloseIdleConnections()
	if request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/sync", nil); err == nil {
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
		}
	}
}

// audit lets all come to rest, kills all three at once, and looks at what each
// has on its disk: the cloud must hold what the handsets were told it holds, the
// handsets every acknowledged write. Then it starts all again.
func (c *crash) audit(ctx context.Context) error {
	if err := c.settled(ctx); err != nil {
		return err
	}
	proven, err := c.phones[0].live(ctx)
	if err != nil {
		return err
	}
	for _, h := range c.phones {
		h.crash()
	}
	c.cloud.crash()
	held, err := c.cloud.report(ctx)
	if err != nil {
		return err
	}
	for _, kind := range record.Kinds {
		if p := proven.Kinds[kind]; held[kind].Digest != p.Digest {
			return fmt.Errorf("the cloud was killed and holds %s of %s, it had proven %s", held[kind].Digest, kind, p.Digest)
		}
	}
	var lost []string
	for _, h := range c.phones {
		shown, err := h.shown(ctx)
		if err != nil {
			return err
		}
		for _, w := range c.writers {
			for _, l := range w.ledger.lost(shown, w.h == h) {
				lost = append(lost, h.name+": "+l)
			}
		}
	}
	pictures := 0
	for _, w := range c.writers {
		pictures += w.counts.Pictures
	}
	for _, h := range c.phones {
		if items, err := h.list(ctx, record.Pictures); err != nil || len(items) < pictures {
			lost = append(lost, fmt.Sprintf("%s: %d pictures of %d %v", h.name, len(items), pictures, err))
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("%d acknowledged writes are lost:\n  %s", len(lost), strings.Join(lost[:min(10, len(lost))], "\n  "))
	}
	c.audits++
	c.say("%s; all agree, nothing acknowledged is missing", c.tally())
	if err := c.cloud.on(ctx); err != nil {
		return err
	}
	for _, h := range c.phones {
		if err := h.on(); err != nil {
			return err
		}
	}
	return c.settled(ctx)
}

func (c *crash) tally() string {
	killed, commands, statements, pictures, cut, records := 0, 0, 0, 0, 0, 0
	for _, n := range c.kills {
		killed += n
	}
	for _, w := range c.writers {
		commands, statements, pictures = commands+w.counts.Commands, statements+w.counts.SQL, pictures+w.counts.Pictures
		cut, records = cut+w.counts.Killed, records+w.ledger.acknowledged()
	}
	return fmt.Sprintf("%d kills (handsets %d and %d, cloud %d), %d writes acknowledged by commands and %d by SQL on %d records, %d pictures, %d commands killed", killed,
		c.kills[c.phones[0].name], c.kills[c.phones[1].name], c.kills[c.cloud.name], commands, statements, records, pictures, cut)
}

// shown reads every record of the kinds that writers write, dead ones included.
func (h *handset) shown(ctx context.Context) (map[string]found, error) {
	all := map[string]found{}
	for _, kind := range []record.Kind{record.Contacts, record.Tasks} {
		for _, more := range [][]string{nil, {"--deleted"}} {
			items, err := h.list(ctx, kind, more...)
			if err != nil {
				return nil, err
			}
			for _, i := range items {
				all[i.ID] = found{i.number(), i.Deleted}
			}
		}
	}
	return all, nil
}

// number returns the number in a record's title that mark has put there.
func (i *item) number() int {
	text, _ := strings.CutPrefix(i.Title, "write-")
	text, _ = strings.CutSuffix(text, ".")
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// finish ends all in good order and lets each verify itself.
func (c *crash) finish(ctx context.Context) error {
	for _, h := range c.phones {
		if err := h.off(); err != nil {
			return err
		}
		if _, err := h.do(ctx, "verify"); err != nil {
			return err
		}
	}
	if err := c.cloud.off(); err != nil {
		return err
	}
	if _, err := c.b.run(ctx, roleCloud, "verify", "--data", c.cloud.data); err != nil {
		return err
	}
	c.say("verify is clean on both handsets and the cloud; %d audits; 0 acknowledged writes lost", c.audits)
	return nil
}
