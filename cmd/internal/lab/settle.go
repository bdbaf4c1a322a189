package lab

import (
	"context"
	"fmt"
	"time"

	"sidekeep/localstore/record"
)

// settled waits until running handsets are proven in sync with the cloud and
// have the same digests.
func settled(ctx context.Context, handsets ...*handset) error {
	const limit = 40 * time.Second
	return until(ctx, "all are in sync", limit, func() (string, error) {
		var first handsetStatus
		for i, h := range handsets {
			if err := h.agent.ended(); err != nil {
				return "", err
			}
			s, err := h.live(ctx)
			if err != nil {
				return err.Error(), nil // the socket is not there yet
			}
			if no := s.unproven(); no != "" || s.Cloud.State != "live" {
				return fmt.Sprintf("%s: %s %s", h.name, s.Cloud.State, no), nil
			}
			if i == 0 {
				first = s
			}
			for _, kind := range record.Kinds {
				if s.Kinds[kind].Digest != first.Kinds[kind].Digest {
					return fmt.Sprintf("%s and %s differ in %s", handsets[0].name, h.name, kind), nil
				}
			}
		}
		return "", nil
	})
}
