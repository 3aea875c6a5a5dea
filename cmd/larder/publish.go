package main

import (
	"context"
	"fmt"

	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/ssm"
)

// parameter is the SSM parameter that is to name the snapshot, or nil for none.
type parameter struct {
	name   string
	client *ssm.Client
	exists bool
}

// findParameter looks before anything is built: a parameter that cannot be written would waste the build.
func findParameter(ctx context.Context, name string) (*parameter, error) {
	if name == "" {
		return nil, nil
	}
	configuration, err := aws.Load(ctx)
	if err != nil {
		return nil, err
	}
	found := &parameter{name: name, client: ssm.New(configuration)}
	known, err := found.client.Get(ctx, name)
	switch {
	case aws.IsNotFound(err):
		return found, nil
	case err != nil:
		return nil, err
	case known.Tags[ebs.TagObjectUID] != "":
		return nil, fmt.Errorf("SSM parameter %s is that of an ImageCacheSnapshot, which would write its own snapshot there again: choose another name", name)
	}
	found.exists = true
	return found, nil
}

// write has the parameter name a snapshot.
func (p *parameter) write(ctx context.Context, snapshotID string) error {
	if p == nil {
		return nil
	}
	var err error
	if p.exists {
		err = p.client.Update(ctx, p.name, snapshotID)
	} else {
		err = p.client.Create(ctx, p.name, snapshotID, "The EBS snapshot that larder build made last", nil)
	}
	if err != nil {
		return fmt.Errorf("snapshot %s is complete and stays, but nobody learns of it: %w", snapshotID, err)
	}
	return nil
}
