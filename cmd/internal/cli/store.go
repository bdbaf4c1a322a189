package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// openStore opens the database of a home. init and join have made one; if it is
// gone, a new one starts empty, which nobody should have to find out alone. A
// damaged one is set aside, and what can be read of it salvaged.
func (a *app) openStore(ctx context.Context, h *home, log *slog.Logger) (*localstore.Store, error) {
	s, err := a.tryStore(ctx, h, log)
	if !errors.Is(err, localstore.ErrDamaged) || h.staged() {
		return s, err
	}
	if err := a.salvage(ctx, h, err); err != nil {
		return nil, err
	}
	return a.tryStore(ctx, h, log)
}

// tryStore is openStore without the salvage: its error may wrap localstore.ErrDamaged.
func (a *app) tryStore(ctx context.Context, h *home, log *slog.Logger) (*localstore.Store, error) {
	fi, err := os.Stat(filepath.Join(h.data(), localstore.FileName))
	switch {
	case h.staged():
	case err == nil && fi.Size() == 0:
		return nil, explain("open the database", fmt.Errorf("it is empty: %w", localstore.ErrDamaged))
	case errors.Is(err, fs.ErrNotExist) && !exists(filepath.Join(h.data(), "salvaged")):
		fmt.Fprintf(a.stderr, "sidekeep: the database is gone from %s; beginning with an empty one\nhint: 'sidekeep sync' fetches what the cloud has; if you have the old %s, stop all of sidekeep and put it back first\n",
			escape(h.data()), localstore.FileName)
	}
	o := storeOptions(h, log)
	// Only the agent has a log. A command ends soon: what other programs write
	// meanwhile it sees within a second, and it has no watch of the file system to
	// give back, which the kernel takes ten milliseconds for.
	o.Poll = log == nil
	s, err := localstore.Open(ctx, h.data(), o)
	if err != nil {
		return nil, explain("open the database", err)
	}
	return s, nil
}

// storeOptions are what the store of a home is opened with.
func storeOptions(h *home, log *slog.Logger) localstore.Options {
	var before []localstore.Hasher
	for _, id := range h.before {
		before = append(before, id.Keys())
	}
	return localstore.Options{
		Hasher: h.identity.Keys(), Before: before, Log: log, Machine: machineID(),
		BrakeMin: h.config.BrakeMin, BrakePercent: h.config.BrakePercent,
		HistoryDays: h.config.HistoryDays, HistoryBytes: h.config.HistoryBytes,
	}
}

// withStore opens home and store, runs use, and closes the store. A database
// that turns out to be damaged meanwhile is salvaged, and the error says so.
func (a *app) withStore(ctx context.Context, use func(*home, *localstore.Store) error) (err error) {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return err
	}
	err = use(h, s)
	if cerr := s.Close(); err == nil && cerr != nil {
		err = explain("close the database", cerr)
	}
	return a.afterDamage(ctx, h, err)
}

// afterDamage salvages when err, which ended a command, says that the database
// is damaged. Nobody in this process has it open any more.
func (a *app) afterDamage(ctx context.Context, h *home, err error) error {
	var told *salvagedError
	if !errors.Is(err, localstore.ErrDamaged) || errors.As(err, &told) {
		return err
	}
	if err := a.salvage(ctx, h, err); err != nil {
		return err
	}
	return &Error{Cause: &salvagedError{err}, Code: ExitDamaged, Hint: "run the command again, now that the database is sound"}
}

// parseKind reads the name of a kind: one of the five, or one of a newer
// version that the store carries.
func parseKind(ctx context.Context, s *localstore.Store, name string) (record.Kind, error) {
	kind := record.Kind(name)
	for _, k := range record.Kinds {
		if k == kind {
			return kind, nil
		}
	}
	if kind.Valid() {
		carried, err := s.Kinds(ctx)
		if err != nil {
			return "", explain("read the kinds", err)
		}
		for _, k := range carried {
			if k == kind {
				return kind, nil
			}
		}
	}
	return "", usagef("%q is not a kind; the kinds are %s", name, kindNames())
}

func kindNames() string {
	names := make([]string, len(record.Kinds))
	for i, k := range record.Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// resolve finds the record whose id begins with prefix.
func resolve(ctx context.Context, s *localstore.Store, prefix string) (record.ID, error) {
	p := strings.ToLower(prefix)
	digits := p
	if len(digits)%2 == 1 {
		digits += "0"
	}
	if _, err := hex.DecodeString(digits); err != nil || p == "" || len(p) > 32 {
		return record.ID{}, usagef("%q is not the beginning of an id: 1 to 32 hex digits", prefix)
	}
	ids, err := s.Find(ctx, p, 2)
	switch {
	case err != nil:
		return record.ID{}, explain("find "+p, err)
	case len(ids) == 0:
		return record.ID{}, &Error{Op: "find", Object: p, Cause: localstore.ErrNotFound,
			Hint: "'sidekeep list KIND' and 'sidekeep search TEXT' show ids"}
	case len(ids) > 1:
		return record.ID{}, usagef("%s begins more than one id; give more digits", p)
	}
	return ids[0], nil
}

// resolveAll is resolve for several, each id once.
func resolveAll(ctx context.Context, s *localstore.Store, prefixes []string) ([]record.ID, error) {
	var ids []record.ID
	seen := make(map[record.ID]bool)
	for _, p := range prefixes {
		id, err := resolve(ctx, s, p)
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// pair is KEY=VALUE of the command line.
type pair struct{ key, value string }

func parsePairs(args []string) ([]pair, error) {
	pairs := make([]pair, len(args))
	for i, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, usagef("%q is not KEY=VALUE", arg)
		}
		pairs[i] = pair{key, value}
	}
	return pairs, nil
}

// idDigits is how many digits of an id lists show: enough to be unique in
// practice, and short.
const idDigits = 10

func shortID(id record.ID) string { return id.String()[:idDigits] }

// valueText gives a decoded value for people: lists separated by semicolons
// and commas.
func valueText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, p := range v {
			if inner, ok := p.([]any); ok {
				texts := make([]string, len(inner))
				for j, t := range inner {
					texts[j] = fmt.Sprint(t)
				}
				parts[i] = strings.Join(texts, ", ")
				continue
			}
			parts[i] = fmt.Sprint(p)
		}
		return strings.Trim(strings.Join(parts, "; "), "; ")
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}
