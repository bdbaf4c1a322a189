package rangeset

import "errors"

// Reconciler is the device's end of reconcile, for one kind. Call Next, send
// its message, pass the answer to Handle, until Next says done.
type Reconciler struct{}

// NewReconciler starts a reconcile of the whole kind. own and declared are the
// item counts of this device and of the cloud (as the cloud said in its kind
// state); together they bound the rounds and bytes before Handle gives up.
func NewReconciler(own, declared uint64) *Reconciler { return &Reconciler{} }

// Next returns the next message to send, or done.
func (r *Reconciler) Next(set Set) (m Message, done bool, err error) {
	return Message{}, true, errors.ErrUnsupported
}

// Handle takes the cloud's answer to the last message of Next and returns the
// differences it shows. The error wraps ErrMessage if the answer is bad.
func (r *Reconciler) Handle(set Set, m Message) (Diff, error) {
	return Diff{}, errors.ErrUnsupported
}
