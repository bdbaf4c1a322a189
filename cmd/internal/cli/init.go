package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sidekeep/syncproto/seal"
)

// madeHome is what init and join print with --json.
type madeHome struct {
	Home    string `json:"home"`
	Account string `json:"account"`
	Device  string `json:"device"`
	Words   string `json:"words,omitempty"` // init only: 24 words, separated by spaces
}

// cloudFlags are the flags that init and join share.
type cloudFlags struct {
	cloud      string
	name       string
	allowPlain bool
	pins       []string
	admission  string
	share      shareFlags
}

func (f *cloudFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cloud, "cloud", "", "`address` of the cloud, like wss://cloud.example.org (required)")
	cmd.Flags().StringVar(&f.name, "name", "", "what you call this device; it stays on the device")
	cmd.Flags().BoolVar(&f.allowPlain, "allow-plain", false, allowPlainHelp)
	cmd.Flags().StringArrayVar(&f.pins, "pin", nil, "`key` of the cloud's certificate, like sha256/..., as 'sidekeep-cloud serve' logs it; replaces authority, name and dates; may be given several times")
	cmd.Flags().StringVar(&f.admission, "admission", "", "`token` of the cloud's operator, if it wants one")
	cmd.Flags().StringVar(&f.share.data, "data", "", "`folder` of the database, if not in the home folder; it must have none yet")
	cmd.Flags().StringVar(&f.share.group, "apps-group", "", "`group` of the apps that share the folder given with --data (made 2770)")
	_ = cmd.MarkFlagRequired("cloud")
}

// config checks the flags and makes paths absolute.
func (f *cloudFlags) config(create bool) (config, error) {
	url, err := cloudURL(f.cloud, f.allowPlain)
	if err != nil {
		return config{}, err
	}
	if err := f.share.check(); err != nil {
		return config{}, err
	}
	c := config{Cloud: url, Name: f.name, AllowPlain: f.allowPlain, Create: create, Pins: f.pins, Admission: f.admission}
	if _, err := parseAdmission(f.admission); err != nil {
		return c, err
	}
	_, err = c.pins()
	return c, err
}

func (a *app) initCommand() *cobra.Command {
	var flags cloudFlags
	cmd := &cobra.Command{
		Use:     "init --cloud URL",
		GroupID: "device",
		Short:   "Make a new account with this device as its first",
		Long: `init makes a new account and a home folder for this device, and prints the
account's 24 words. They are shown this once and kept nowhere: write them down.
With them another device joins the account. It needs no network.

If the cloud admits only accounts it was told about, give its operator the
account id that init prints; if it gives you a token for it, tell it to each
device with 'sidekeep admission'. If its certificate is not of a public authority,
name that authority's file in the variable SSL_CERT_FILE for every command that
syncs; or give --pin with the key that the cloud's operator reads in its log.

Where apps run as users of their own, --data and --apps-group put the database
into a folder that their group shares, outside this home, which holds the keys.`,
		Example: `  sidekeep init --cloud wss://cloud.example.org --name kitchen-phone
  sidekeep --home /tmp/one init --cloud ws://127.0.0.1:8080 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context(), flags) },
	}
	flags.register(cmd)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) init(ctx context.Context, flags cloudFlags) error {
	cfg, err := flags.config(true)
	if err != nil {
		return err
	}
	dir, err := a.homeDir()
	if err != nil {
		return err
	}
	s, err := a.beginStage(dir, "init")
	if err != nil {
		return err
	}
	defer s.abandon()
	secret, id, err := a.newAccount()
	if err != nil {
		return err
	}
	if err := s.write(id, cfg); err != nil {
		return &Error{Op: "make home", Object: dir, Cause: err}
	}
	store, err := a.openStore(ctx, &home{dir: s.path(), config: cfg, identity: id}, nil)
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return explain("make the database", err)
	}
	// The words come before the home: words without a home can be thrown away,
	// a home whose words nobody has seen can not be joined.
	if err := a.printWords(dir, id, secret); err != nil {
		return &Error{Op: "show the words", Cause: err, Hint: "nothing was made; run init again"}
	}
	if err := s.commit(); err != nil {
		return &Error{Op: "make home", Object: dir, Cause: err, Hint: "the words above mean nothing; run init again"}
	}
	return a.moveData(ctx, dir, flags.share)
}

func (a *app) printWords(dir string, id *seal.Identity, secret seal.Secret) error {
	if a.json {
		return a.printJSON(madeHome{Home: dir, Account: id.Account.String(), Device: id.Device().String(), Words: secret.Words()})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "home     %s\naccount  %s\ndevice   %s\n\n", escape(dir), id.Account, id.Device())
	writeWords(&b, secret)
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// writeWords shows the words of an account.
func writeWords(b *strings.Builder, secret seal.Secret) {
	b.WriteString("These 24 words are your account. Write them down, in order, and keep them safe.\n")
	b.WriteString("They are shown this once. Whoever has them can read everything and is you.\n")
	b.WriteString("Without them no new device can join; words and all devices lost: all is gone.\n\n")
	const columns = 4
	words := strings.Fields(secret.Words())
	for i, w := range words {
		if i%columns == columns-1 {
			fmt.Fprintf(b, "%4d %s\n", i+1, w)
			continue
		}
		fmt.Fprintf(b, "%4d %-10s", i+1, w)
	}
	b.WriteByte('\n')
}
