package fakeaws_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestStartSnapshotRefuses(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	completed := a.snapshot("", map[int32]byte{0: 1})
	pending := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	big := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(2)})
	a.complete(big, 0)
	tags := func(pairs ...string) (tags []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			tags = append(tags, types.Tag{Key: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
		}
		return tags
	}
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprint(i), "")
	}
	cases := map[string]struct {
		in           ebs.StartSnapshotInput
		code, reason string
	}{
		"no GiB":                 {ebs.StartSnapshotInput{VolumeSize: aws.Int64(0)}, "ValidationException", "INVALID_VOLUME_SIZE"},
		"too many GiB":           {ebs.StartSnapshotInput{VolumeSize: aws.Int64(65537)}, "ValidationException", "INVALID_VOLUME_SIZE"},
		"too many tags":          {ebs.StartSnapshotInput{Tags: tags(many...)}, "ValidationException", "INVALID_TAG"},
		"a reserved tag":         {ebs.StartSnapshotInput{Tags: tags("AWS:x", "")}, "ValidationException", "INVALID_TAG"},
		"a tag twice":            {ebs.StartSnapshotInput{Tags: tags("x", "1", "x", "2")}, "ValidationException", "INVALID_TAG"},
		"a long tag":             {ebs.StartSnapshotInput{Tags: tags("x", strings.Repeat("v", 256))}, "ValidationException", "INVALID_TAG"},
		"a long token":           {ebs.StartSnapshotInput{ClientToken: aws.String(strings.Repeat("t", 65))}, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"a short timeout":        {ebs.StartSnapshotInput{Timeout: aws.Int32(9)}, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"a key without Encrypt":  {ebs.StartSnapshotInput{KmsKeyArn: aws.String("arn:aws:kms:x")}, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"parent and Encrypted":   {ebs.StartSnapshotInput{ParentSnapshotId: &completed, Encrypted: aws.Bool(true)}, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"a pending parent":       {ebs.StartSnapshotInput{ParentSnapshotId: &pending}, "ValidationException", "INVALID_SNAPSHOT_ID"},
		"a larger parent":        {ebs.StartSnapshotInput{ParentSnapshotId: &big}, "ValidationException", "INVALID_VOLUME_SIZE"},
		"a parent that is not":   {ebs.StartSnapshotInput{ParentSnapshotId: aws.String("snap-0")}, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"},
		"a parent without sense": {ebs.StartSnapshotInput{ParentSnapshotId: aws.String("vol-1")}, "ValidationException", "INVALID_SNAPSHOT_ID"},
	}
	before := len(a.Snapshots())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.in.VolumeSize == nil {
				c.in.VolumeSize = aws.Int64(1)
			}
			_, err := a.ebs.StartSnapshot(t.Context(), &c.in)
			wantError(t, err, c.code, c.reason)
		})
	}
	if after := len(a.Snapshots()); after != before {
		t.Errorf("%d snapshots were made by refused calls", after-before)
	}
}

func TestClientToken(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	in := func(size int64) *ebs.StartSnapshotInput {
		return &ebs.StartSnapshotInput{VolumeSize: aws.Int64(size), ClientToken: aws.String("token")}
	}
	first := a.start(in(1))
	if again := a.start(in(1)); again != first {
		t.Errorf("one token made %s and %s", first, again)
	}
	_, err := a.ebs.StartSnapshot(t.Context(), in(2))
	wantError(t, err, "ConflictException", "")
	if _, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &first}); err != nil {
		t.Fatal(err)
	}
	if burnt := a.start(in(1)); burnt != first {
		t.Errorf("a token came to life again with %s after %s was deleted", burnt, first)
	}
	// Without a token of ours the SDK makes one for each call.
	if one, two := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}), a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}); one == two {
		t.Errorf("two calls made one snapshot %s", one)
	}
}

func TestPutSnapshotBlockRefuses(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	completed := a.snapshot("", nil)
	cases := map[string]struct {
		change       func(*ebs.PutSnapshotBlockInput)
		code, reason string
	}{
		"another length": {func(in *ebs.PutSnapshotBlockInput) { in.DataLength = aws.Int32(blockSize - 1) }, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"half a block":   {func(in *ebs.PutSnapshotBlockInput) { *in = *putInput(id, 0, block(1)[:1000]) }, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"wrong checksum": {func(in *ebs.PutSnapshotBlockInput) { in.Checksum = aws.String(checksum(nil)) }, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"algorithm":      {func(in *ebs.PutSnapshotBlockInput) { in.ChecksumAlgorithm = "MD5" }, "ValidationException", "INVALID_PARAMETER_VALUE"},
		"index too high": {func(in *ebs.PutSnapshotBlockInput) { in.BlockIndex = aws.Int32(2048) }, "ValidationException", "INVALID_BLOCK"},
		"index negative": {func(in *ebs.PutSnapshotBlockInput) { in.BlockIndex = aws.Int32(-1) }, "ValidationException", "INVALID_BLOCK"},
		"completed":      {func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = &completed }, "ValidationException", "INVALID_SNAPSHOT_ID"},
		"unknown":        {func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = aws.String("snap-0") }, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"},
		"malformed":      {func(in *ebs.PutSnapshotBlockInput) { in.SnapshotId = aws.String("snap") }, "ValidationException", "INVALID_SNAPSHOT_ID"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in := putInput(id, 0, block(1))
			c.change(in)
			_, err := a.ebs.PutSnapshotBlock(t.Context(), in)
			wantError(t, err, c.code, c.reason)
		})
	}
	if got := a.Snapshots()[0].Written; got != 0 {
		t.Errorf("%d blocks were written by refused calls", got)
	}
}

func TestCompleteSnapshot(t *testing.T) {
	linear := func(blocks ...[]byte) *string {
		var all []byte
		for _, data := range blocks {
			sum := sha256.Sum256(data)
			all = append(all, sum[:]...)
		}
		sum := sha256.Sum256(all)
		return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	}
	cases := map[string]struct {
		reason   string
		count    int32
		checksum *string
		want     string
	}{
		"right":            {"digests in the order of the indexes", 2, linear(block(1), block(2)), "completed"},
		"without checksum": {"it is optional", 2, nil, "completed"},
		"wrong count":      {"a block is missing or too many", 3, linear(block(1), block(2)), "error"},
		"order of writing": {"the indexes count, not the time", 2, linear(block(2), block(1)), "error"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			id := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
			a.put(id, 9, block(3))
			a.put(id, 9, block(2))
			a.put(id, 4, block(1))
			in := &ebs.CompleteSnapshotInput{SnapshotId: &id, ChangedBlocksCount: &c.count}
			if c.checksum != nil {
				in.Checksum, in.ChecksumAlgorithm, in.ChecksumAggregationMethod = c.checksum, "SHA256", "LINEAR"
			}
			if _, err := a.ebs.CompleteSnapshot(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if got := a.state(id); got != c.want {
				t.Errorf("state %s, want %s: %s", got, c.want, c.reason)
			}
			_, err := a.ebs.CompleteSnapshot(t.Context(), in)
			wantError(t, err, "ValidationException", "INVALID_SNAPSHOT_ID")
		})
	}
}

func TestPendingTakesItsTime(t *testing.T) {
	a := newAccount(t, fakeaws.Options{PendingFor: time.Minute})
	id := a.snapshot("", map[int32]byte{0: 1})
	list := func() error {
		_, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
		return err
	}
	a.clock.SetTime(epoch.Add(time.Minute - 1))
	if got := a.state(id); got != "pending" {
		t.Errorf("state %s just before its minute", got)
	}
	wantError(t, list(), "ValidationException", "INVALID_SNAPSHOT_ID")
	_, err := a.ebs.PutSnapshotBlock(t.Context(), putInput(id, 1, block(2)))
	wantError(t, err, "ValidationException", "INVALID_SNAPSHOT_ID")
	a.clock.SetTime(epoch.Add(time.Minute))
	if got := a.state(id); got != "completed" {
		t.Errorf("state %s after its minute", got)
	}
	if err := list(); err != nil {
		t.Error(err)
	}
}

func TestIdleUploadFails(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), Timeout: aws.Int32(10)})
	a.clock.SetTime(epoch.Add(10 * time.Minute))
	a.put(id, 0, block(1))
	a.clock.SetTime(epoch.Add(20 * time.Minute))
	if got := a.state(id); got != "pending" {
		t.Errorf("state %s ten minutes after the last block", got)
	}
	a.clock.SetTime(epoch.Add(20*time.Minute + time.Second))
	if got := a.state(id); got != "error" {
		t.Errorf("state %s after more than ten idle minutes", got)
	}
}

func TestNewSnapshotIsHidden(t *testing.T) {
	a := newAccount(t, fakeaws.Options{HiddenCalls: 2})
	id := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	_, err := a.ebs.PutSnapshotBlock(t.Context(), putInput(id, 0, block(1)))
	wantError(t, err, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
	_, err = a.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	wantError(t, err, "InvalidSnapshot.NotFound", "")
	a.put(id, 0, block(1))
}

func TestParents(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	parent := a.snapshot("", map[int32]byte{0: 1, 1: 2, 2: 3})
	child := a.snapshot(parent, map[int32]byte{1: 9, 5: 4})
	want := map[int32]byte{0: 1, 1: 9, 2: 3, 5: 4}
	if diff := cmp.Diff(want, a.contents(child)); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
	if _, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &parent}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, a.contents(child)); diff != "" {
		t.Errorf("child without its parent (-want +got):\n%s", diff)
	}
}

func TestZerosOverAParentsBlockErase(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	parent := a.snapshot("", map[int32]byte{0: 1, 1: 2})
	child := a.snapshot(parent, map[int32]byte{1: 0})
	if diff := cmp.Diff(map[int32]byte{0: 1, 1: 0}, a.contents(child)); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
	grandchild := a.snapshot(child, map[int32]byte{2: 5})
	if diff := cmp.Diff(map[int32]byte{0: 1, 1: 0, 2: 5}, a.contents(grandchild)); diff != "" {
		t.Errorf("grandchild (-want +got):\n%s", diff)
	}
}

func TestCompleteCountsTheChildsOwnBlocks(t *testing.T) {
	for count, want := range map[int32]string{1: "completed", 3: "error"} {
		a := newAccount(t, fakeaws.Options{})
		parent := a.snapshot("", map[int32]byte{0: 1, 1: 2, 2: 3})
		child := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &parent})
		a.put(child, 1, block(9))
		a.complete(child, count)
		if got := a.state(child); got != want {
			t.Errorf("a child with 1 block of its own and 2 of its parent's is %s after %d were counted", got, count)
		}
	}
}

func TestAnotherAccountsSnapshot(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	shared := a.snapshot("", map[int32]byte{0: 1})
	if !a.SetOwner(shared, "999999999999") {
		t.Fatal("the snapshot is unknown")
	}
	if diff := cmp.Diff(map[int32]byte{0: 1}, a.contents(shared)); diff != "" {
		t.Errorf("reading what is shared (-want +got):\n%s", diff)
	}
	_, err := a.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &shared})
	wantError(t, err, "AccessDeniedException", "UNAUTHORIZED_ACCOUNT")
	_, err = a.ebs.PutSnapshotBlock(t.Context(), putInput(shared, 0, block(1)))
	wantError(t, err, "AccessDeniedException", "UNAUTHORIZED_ACCOUNT")
	_, err = a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &shared})
	wantError(t, err, "UnauthorizedOperation", "")
	for owner, want := range map[string]int{"self": 0, "999999999999": 1} {
		out, err := a.ec2.DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{shared}, OwnerIds: []string{owner}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Snapshots) != want {
			t.Errorf("%d snapshots of owner %s, want %d", len(out.Snapshots), owner, want)
		}
	}
}

func TestDefaultEncryption(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	plain := a.snapshot("", nil)
	a.SetEncryptByDefault(true)
	encrypted := a.snapshot("", nil)
	if child := a.Snapshots()[1]; !child.Encrypted {
		t.Errorf("%+v is not encrypted", child)
	}
	_, err := a.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &plain})
	wantError(t, err, "ValidationException", "INVALID_PARAMETER_VALUE")
	a.SetEncryptByDefault(false)
	a.snapshot(encrypted, nil)
	if child := a.Snapshots()[2]; !child.Encrypted {
		t.Errorf("the child %+v of an encrypted snapshot is not encrypted", child)
	}
}
