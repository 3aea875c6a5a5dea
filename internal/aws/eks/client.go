package eks

import (
	"errors"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Client reads and updates node groups of one account in one Region. It is safe for concurrent use.
type Client struct {
	eks *eks.Client

	mu sync.Mutex
	// ended are the updates of each group that are over, by their ids: they never change again, and a group has many.
	ended map[groupName]map[string]Update
}

type groupName struct{ cluster, group string }

// New returns a client for the configuration's Region.
func New(cfg aws.Config) *Client {
	return &Client{eks: eks.NewFromConfig(larderaws.ForControl(cfg)), ended: map[groupName]map[string]Update{}}
}

// IsBusy tells whether EKS refused a change because it is at work on the group already.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html
func IsBusy(err error) bool {
	var busy *types.ResourceInUseException
	return errors.As(err, &busy)
}

// IsLaunchDenied tells whether EKS may not launch instances for us: it tries the launch template with the permissions of
// its caller, and says of a denial that the request is invalid.
// https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
func IsLaunchDenied(err error) bool {
	var invalid *types.InvalidRequestException
	return errors.As(err, &invalid) && strings.Contains(invalid.ErrorMessage(), "not authorized to launch instances")
}
