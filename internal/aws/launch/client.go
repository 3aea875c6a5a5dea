// Package launch is what instances are launched from: which snapshots new ones may boot from by way of launch templates,
// which must not be collected, and versions of templates that name others.
package launch

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Client reads and writes the launch templates and Auto Scaling groups of one account in one Region. It is safe for concurrent
// use.
type Client struct {
	ec2         *ec2.Client
	autoscaling *autoscaling.Client
}

// New returns a client for the configuration's Region.
func New(cfg aws.Config) *Client {
	cfg = larderaws.ForControl(cfg)
	return &Client{ec2: ec2.NewFromConfig(cfg), autoscaling: autoscaling.NewFromConfig(cfg)}
}
