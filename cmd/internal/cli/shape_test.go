package cli

import (
	"bufio"
	"bytes"
	"testing"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// The shapes are a promise to scripts: a change here breaks someone.
func TestShapes(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out}
	r := localstore.Record{Kind: record.Contacts, Title: "A <b>\u202e\x7f", Fields: []record.Field{{Key: "FN", Line: []byte("FN:A\xff")}, {Key: "N", Line: []byte("N:A;B")}},
		Values: map[string]any{"FN": "A", "N": []any{"A", []any{"B", "C"}}}}
	array := &jsonArray{w: bufio.NewWriter(&out)}
	for range 2 {
		if err := array.add(shapeOf(&r)); err != nil {
			t.Fatal(err)
		}
		r.Fields, r.Deleted, r.Title = nil, true, ""
	}
	if err := array.end(); err != nil {
		t.Fatal(err)
	}
	status := agent.Status{Account: "a", Device: "d", Replica: "r", Cloud: agent.CloudStatus{URL: "u", State: "live", Epoch: "e", Error: "x"},
		Kinds: map[record.Kind]agent.KindStatus{"contacts": {Live: 1, Deleted: 2, Unsynced: 3, Conflicts: 4, Held: 5, Digest: "0", CloudDigest: "1", ProvenSeq: 9}},
		Blobs: agent.BlobStatus{Chunks: 1, Missing: 2, Unsent: 3, Bytes: 4}, Code: "1234 5678 9012",
		Trust: agent.TrustStatus{State: agent.TrustWithholds, Statements: 2, Withheld: []localstore.Withheld{{Device: "k", Name: "n"}}}}
	if err := a.printJSON(statusShape(&status)); err != nil {
		t.Fatal(err)
	}
	const want = `[
  {
    "id": "00000000000000000000000000000000",
    "kind": "contacts",
    "title": "A <b>\u202e\u007f",
    "deleted": false,
    "fields": {
      "FN": {
        "value": "A",
        "raw": "FN:A\ufffd"
      },
      "N": {
        "value": [
          "A",
          [
            "B",
            "C"
          ]
        ],
        "raw": "N:A;B"
      }
    }
  },
  {
    "id": "00000000000000000000000000000000",
    "kind": "contacts",
    "title": "",
    "deleted": true,
    "fields": {}
  }
]
{
  "account": "a",
  "device": "d",
  "replica": "r",
  "cloud": {
    "url": "u",
    "state": "live",
    "epoch": "e"
  },
  "kinds": {
    "contacts": {
      "live": 1,
      "deleted": 2,
      "unsynced": 3,
      "conflicts": 4,
      "held": 5,
      "digest": "0",
      "cloud_digest": "1",
      "in_sync": false,
      "restoring": false
    }
  },
  "blobs": {
    "chunks": 1,
    "missing": 2,
    "bytes": 4
  },
  "trust": {
    "state": "withholds",
    "sampled_at": null,
    "statements": 2,
    "withheld": [
      {
        "device": "k",
        "name": "n",
        "at": "0001-01-01T00:00:00Z",
        "since": "0001-01-01T00:00:00Z",
        "authors": []
      }
    ]
  },
  "lost": [],
  "at_least": false,
  "code": "1234 5678 9012"
}
`
	if out.String() != want {
		t.Errorf("got %s", out.String())
	}
}

func TestEmptyArray(t *testing.T) {
	var out bytes.Buffer
	if err := (&jsonArray{w: bufio.NewWriter(&out)}).end(); err != nil || out.String() != "[]\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
