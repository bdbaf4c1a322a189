package pim

import "sidekeep/localstore/record"

// Limits of what an import takes from one file. The exported ones are tested
// at, one under and one over.
const (
	TextFileBytesMax    = 128 << 20                // a file of cards, calendars or text
	PictureBytesMax     = record.ChunksMax * 65536 // a picture: as many chunks as one version can name
	LineBytesMax        = 24 << 20                 // one unfolded content line
	PropertiesMax       = 3800                     // lines of one object, markers included
	NestingMax          = 8                        // components inside a main component
	calendarsMax        = 4                        // calendars inside calendars
	ProblemsMax         = 1000                     // problems listed for one file; all are counted
	PixelsMax           = 1 << 30                  // width times height that is believed
	metadataTagsMax     = 4096                     // tags read from one picture
	InlineLineBytesMax  = 48 << 10                 // a longer line goes to a blob
	BlobBytesMin        = 1 << 10                  // inline base64 of at least this many bytes goes to a blob
	inlineBase64Max     = 4 << 10                  // base64 that is not exactly ours stays inline up to here
	ObjectBytesMax      = 200 << 10                // keys and lines of one object after long lines went to blobs
	objectBytesAim      = 120 << 10                // long lines go to blobs until it is this small: room for concurrent values
	fieldOverheadBytes  = 24                       // what a field costs beside its key and line
	calendarHeadMax     = 16 << 10                 // calendar lines that every entry of the calendar carries along
	sniffBytes          = 4096
	equalContentsMax    = 16   // records without UID and of one content that an export knows again
	headBytesMax        = 4096 // a quoted-printable line's name and parameters
	foldOctets          = 75   // RFC 5545 section 3.1
	componentNameLength = 40   // longer component names are cut in keys
)
