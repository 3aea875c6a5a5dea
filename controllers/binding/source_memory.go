package binding

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// lookAgain is when AWS is asked again about what nodes cannot boot with: soon, since somebody may be waiting for it.
const lookAgain = 30 * time.Second

// memory keeps what AWS said: passes come with every event of a node, and AWS need not be asked at each. The zero value
// is ready to use. It holds no more than what the bindings that there are have asked within their intervals.
type memory struct {
	mu      sync.Mutex
	answers map[question]answer
}

// question is what one binding asks of AWS. With another occasion it is another question, which is asked anew.
type question struct {
	binding  types.UID
	occasion string
	subject  string
}

// answer is what AWS said, and until when it serves.
type answer struct {
	snapshot Snapshot
	problem  *Problem
	until    time.Time
}

// occasionOf changes when a person changed something that AWS's answers may depend on, and when a snapshot was rejected.
func occasionOf(binding *v1alpha1.NodeClassBinding) string {
	return fmt.Sprintf("%d %q %q", binding.Generation, binding.Annotations[v1alpha1.AnnotationApplyNow],
		binding.Status.RejectedSnapshotID)
}

// recall returns what AWS said of the subject, or asks. What was said of a usable snapshot serves for the binding's
// interval, and else for lookAgain.
func (s *SnapshotSource) recall(
	ctx context.Context, binding *v1alpha1.NodeClassBinding, subject string, ask func() (Snapshot, *Problem),
) (Snapshot, *Problem, error) {
	now := s.Clock.Now()
	asked := question{binding: binding.UID, occasion: occasionOf(binding), subject: subject}
	known, remembered := s.memory.get(asked, now)
	if !remembered {
		known.snapshot, known.problem = ask()
		if err := ctx.Err(); err != nil {
			return Snapshot{}, nil, fmt.Errorf("asking AWS for %s: %w", subject, err)
		}
		known.until = now.Add(binding.Spec.Snapshot.Interval.Duration)
		if known.problem != nil {
			known.until = now.Add(lookAgain)
		}
		s.memory.put(asked, known, now)
	}
	if known.problem == nil {
		return known.snapshot, nil, nil
	}
	problem := *known.problem
	problem.RetryAfter = known.until.Sub(now)
	return known.snapshot, &problem, nil
}

func (m *memory) get(asked question, now time.Time) (answer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.answers[asked]
	return known, ok && now.Before(known.until)
}

// put forgets what does not serve any more, also for bindings that are gone and will never ask again.
func (m *memory) put(asked question, known answer, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.answers, func(other question, old answer) bool {
		return !now.Before(old.until) || other.binding == asked.binding && other.occasion != asked.occasion
	})
	if m.answers == nil {
		m.answers = map[question]answer{}
	}
	m.answers[asked] = known
}
