package main

import (
	"context"

	"github.com/larder-dev/larder/internal/volume"
)

// parent is the volume that --parent names, if any.
type parent struct {
	name  string
	close func()
}

func newParent(name string) *parent { return &parent{name: name, close: func() {}} }

// volume is nil without a parent.
func (p *parent) volume() *volume.Parent {
	if p.name == "" {
		return nil
	}
	return &volume.Parent{Name: p.name, Open: func(ctx context.Context) (volume.RawDisk, error) {
		disk, closeDisk, err := openDisk(ctx, p.name)
		if err != nil {
			return nil, err
		}
		p.close = closeDisk
		return disk, nil
	}}
}
