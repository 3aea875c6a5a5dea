package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"k8s.io/utils/clock"
)

// The only credentials that the server takes.
const (
	AccessKeyID     = "AKIAFAKEAWSDOUBLE000"
	SecretAccessKey = "not-a-secret-the-double-knows-no-other"
)

// Options choose the account's settings and AWS's moods. The zero value is a prompt, unencrypted account.
type Options struct {
	// Listen is the address to listen on, by default a free port of 127.0.0.1.
	Listen string
	// Region and AccountID default to us-west-2 and 111122223333.
	Region, AccountID string
	// Regions are the opt-in Regions that the account has enabled, besides those that every account has.
	Regions []string
	// Clock is what snapshots and tokens age by, by default the system's.
	Clock clock.PassiveClock
	// PendingFor is how long a snapshot stays pending after CompleteSnapshot.
	PendingFor time.Duration
	// CopyFor is how long a copy of a snapshot stays pending.
	CopyFor time.Duration
	// RestoreStep is how long fast snapshot restores stay enabling, then optimizing, and disabling.
	RestoreStep time.Duration
	// ComputeEnvironmentFor is how long a compute environment stays creating, and updating when its instances are replaced.
	ComputeEnvironmentFor time.Duration
	// NodeGroupUpdateFor is how long EKS takes to update a node group; by default it is done when it is looked at.
	NodeGroupUpdateFor time.Duration
	// RefreshStep is how long an instance refresh takes to begin, to replace an instance, and to end.
	RefreshStep time.Duration
	// TaskStart is how long a task of ECS takes to start, or to fail.
	TaskStart time.Duration
	// HiddenCalls is how many calls that name a new snapshot answer that it does not exist.
	HiddenCalls int
	// EmptyPages begins every list of blocks with an empty page that has a next token.
	EmptyPages bool
	// EncryptByDefault is the account's setting.
	EncryptByDefault bool
	// TemplateVersions is how many versions a launch template may have, by default 10,000.
	TemplateVersions int
	// WarnOfSnapshots has EC2 warn of a new version of a launch template that names a snapshot which does not exist.
	WarnOfSnapshots bool
	// Denied are actions that the caller has no permission for.
	Denied []string
	// Dir keeps block data in files, by default it is in memory.
	Dir string
	// RegistryPassword is the password of every token that ECR gives; by default each has one of its own.
	RegistryPassword string
	// OnCall is called when a call has arrived, before anything is done about it; the call waits for it.
	OnCall func(action string)
}

// Server is a running double. It is safe for concurrent use.
type Server struct {
	options  Options
	listener net.Listener
	http     *http.Server
	stopped  chan struct{}
	blocks   *blockStore

	mu        sync.Mutex
	snapshots map[string]*snapshot
	// keys are by their ARNs, without the default ones.
	keys           map[string]Key
	parameters     map[inRegion]*Parameter
	registryTokens []RegistryToken
	// templates are in the order of their creation.
	templates     []*launchTemplate
	templatesMade int
	images        []Image
	groups        []*autoScalingGroup
	// environments are Batch's, in the order of their creation.
	environments     []*computeEnvironment
	environmentsMade int
	nodeGroups       []*nodeGroup
	// launched counts the instances that groups launched, refreshed the instance refreshes, and tried the scaling
	// activities.
	launched, refreshed, tried int
	ecs                        ecsState
	remembered                 map[string]remembered
	started                    int
	tokens                     map[string]startedBy
	faults                     []*Fault
	unmodelled                 []string
	calls                      map[string]int
	inFlight                   map[string]int
	mostAtOnce                 map[string]int
	// unused are connections that no request came over yet.
	unused map[net.Conn]bool
}

// New starts a server. Close it.
func New(options Options) (*Server, error) {
	if options.Listen == "" {
		options.Listen = "127.0.0.1:0"
	}
	if options.Region == "" {
		options.Region = "us-west-2"
	}
	if options.AccountID == "" {
		options.AccountID = "111122223333"
	}
	if options.TemplateVersions == 0 {
		options.TemplateVersions = 10000
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	listener, err := net.Listen("tcp", options.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for AWS calls: %w", err)
	}
	s := &Server{
		options:    options,
		listener:   listener,
		stopped:    make(chan struct{}),
		blocks:     newBlockStore(options.Dir),
		snapshots:  map[string]*snapshot{},
		keys:       map[string]Key{},
		parameters: map[inRegion]*Parameter{},
		remembered: map[string]remembered{},
		tokens:     map[string]startedBy{},
		calls:      map[string]int{},
		inFlight:   map[string]int{},
		mostAtOnce: map[string]int{},
		unused:     map[net.Conn]bool{},
	}
	s.http = &http.Server{Handler: s, ConnState: s.noteConnection, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		// Serve always ends with an error: ErrServerClosed after Close.
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// NewForTest starts a server that is closed with the test, and fails the test if a call was not modelled.
func NewForTest(t testing.TB, options Options) *Server {
	t.Helper()
	s, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing fakeaws: %v", err)
		}
		for _, what := range s.Unmodelled() {
			t.Errorf("fakeaws was asked for what it does not model: %s", what)
		}
	})
	return s
}

// Close lets running calls end, but not those that are stuck, and drops the blocks that are in memory: package testing
// holds what a finished subtest's cleanup knew, such as this server, until the test around it is finished too.
func (s *Server) Close() error {
	close(s.stopped)
	defer s.blocks.drop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.closeUnused()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("waiting for calls to end: %w", err), s.http.Close())
	}
	return nil
}

func (s *Server) noteConnection(connection net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != http.StateNew {
		delete(s.unused, connection)
		return
	}
	select {
	case <-s.stopped:
		_ = connection.Close() // accepted after closeUnused had looked
	default:
		s.unused[connection] = true
	}
}

// closeUnused spares Shutdown the five seconds that it would give such connections for their first request.
// The SDK leaves some behind: it dials for every call that finds no idle connection, and may then find one.
func (s *Server) closeUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for connection := range s.unused {
		// Its client is done with it or will see that it is closed.
		_ = connection.Close()
	}
}

// URL is the endpoint for all services.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Config is an SDK configuration for this server, in its own Region. Another Region's calls go to the same endpoint.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       s.options.Region,
		BaseEndpoint: aws.String(s.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider(AccessKeyID, SecretAccessKey, ""),
	}
}

// Env is the environment by which a program finds this server and nothing else of AWS.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL":          s.URL(),
		"AWS_REGION":                s.options.Region,
		"AWS_ACCESS_KEY_ID":         AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":     SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED": "true",
	}
}

// Unmodelled returns what was asked for that this server does not model, in the order it was asked.
func (s *Server) Unmodelled() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.unmodelled)
}

// Calls returns how many calls of an action arrived, refused ones too.
func (s *Server) Calls(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[action]
}

// MutatingCalls returns how many calls arrived, by action, of those that change something: all that do more than
// describe, get or list. Without any it is empty.
func (s *Server) MutatingCalls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	mutating := map[string]int{}
	for action, count := range s.calls {
		if IsMutating(action) {
			mutating[action] = count
		}
	}
	return mutating
}

var readOnly = regexp.MustCompile(`^([a-z-]+:)?(Describe|Get|List|BatchGet|BatchCheck)`)

// MostAtOnce returns how many calls of an action were ever in flight together.
func (s *Server) MostAtOnce(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mostAtOnce[action]
}

// SetEncryptByDefault changes the account's setting for snapshots to come.
func (s *Server) SetEncryptByDefault(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.EncryptByDefault = on
}

func (s *Server) arrive(action string) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[action]++
	s.inFlight[action]++
	s.mostAtOnce[action] = max(s.mostAtOnce[action], s.inFlight[action])
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight[action]--
	}
}
