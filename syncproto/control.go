package syncproto

// Wait asks the device to close and come back after some seconds.
type Wait struct {
	Seconds uint64 `cbor:"1,keyasint"` // at most WaitSecondsMax counts
	Code    Code   `cbor:"2,keyasint"`
}

// Type returns TypeWait.
func (*Wait) Type() Type { return TypeWait }

func (m *Wait) check() error {
	if m.Code == CodeNone {
		return errorf(CodeBadMessage, "a wait without a reason")
	}
	return nil
}

// Capped returns the seconds to wait: never more than WaitSecondsMax.
func (m *Wait) Capped() uint64 { return min(m.Seconds, WaitSecondsMax) }

// ErrorMessage says why a request failed, or, with Ref 0, why the sender closes
// the connection.
type ErrorMessage struct {
	Code Code      `cbor:"1,keyasint"`
	Ref  RequestID `cbor:"2,keyasint,omitempty"`
}

// Type returns TypeError.
func (*ErrorMessage) Type() Type { return TypeError }

func (m *ErrorMessage) check() error {
	if m.Code == CodeNone {
		return errorf(CodeBadMessage, "an error without a code")
	}
	return nil
}

// Bye says that the sender will send nothing more and closes in peace.
type Bye struct{}

// Type returns TypeBye.
func (*Bye) Type() Type { return TypeBye }

func (m *Bye) check() error { return nil }
