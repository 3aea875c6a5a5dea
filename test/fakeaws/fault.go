package fakeaws

import (
	"net/http"
	"time"
)

// Kind is a way for a call to go wrong.
type Kind string

// The kinds of faults.
const (
	// Throttle refuses the call for its rate.
	Throttle Kind = "Throttle"
	// ServerError answers with a 500, without an effect.
	ServerError Kind = "ServerError"
	// Delay carries the call out after Fault.Delay.
	Delay Kind = "Delay"
	// LostResponse carries the call out and drops the connection instead of answering.
	LostResponse Kind = "LostResponse"
	// Denied refuses the call for lack of permission.
	Denied Kind = "Denied"
	// Stuck never answers.
	Stuck Kind = "Stuck"
	// Corrupt carries the call out and damages the answer's body.
	Corrupt Kind = "Corrupt"
	// Error answers with Fault.Status, Code and Message, without an effect.
	Error Kind = "Error"
)

// Fault is what goes wrong with which calls.
type Fault struct {
	// Action is the name of the call, like "PutSnapshotBlock". That of ECR public is "ecr-public:GetAuthorizationToken".
	Action string
	Kind   Kind
	// Skip lets so many calls pass first.
	Skip int
	// Times is how many calls are hit; 0 means all.
	Times int
	// Delay is for the kind of that name.
	Delay time.Duration
	// Status, Code, Message and Reason are for the kind Error; only the EBS direct API gives reasons.
	Status  int
	Code    string
	Message string
	Reason  string
}

// Inject makes coming calls go wrong. Of several faults for an action the first injected is used up first.
func (s *Server) Inject(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) takeFault(action string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, fault := range s.faults {
		if fault.Action != action {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			return nil
		}
		if fault.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return fault
	}
	return nil
}

// disturb applies the faults that come before the effect.
func (s *Server) disturb(r *http.Request, call action, fault *Fault) error {
	if fault == nil {
		return nil
	}
	switch fault.Kind {
	case Throttle:
		return throttled.of(call.protocol, "Request limit exceeded.")
	case ServerError:
		return failed.of(call.protocol, "An internal error has occurred.")
	case Denied:
		return denied.of(call.protocol, "User: %s is not authorized to perform: %s", s.callerARN(), call.permission())
	case Error:
		return &apiError{status: fault.Status, code: fault.Code, message: fault.Message, reason: fault.Reason}
	case Delay:
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-s.stopped:
		}
	case Stuck:
		select {
		case <-r.Context().Done():
		case <-s.stopped:
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}
