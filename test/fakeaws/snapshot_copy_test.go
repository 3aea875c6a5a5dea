package fakeaws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func copyOf(source string) *ec2.CopySnapshotInput {
	return &ec2.CopySnapshotInput{SourceRegion: aws.String("us-west-2"), SourceSnapshotId: aws.String(source)}
}

func (a *account) copy(in *ec2.CopySnapshotInput) string {
	a.t.Helper()
	out, err := a.ec2.CopySnapshot(a.t.Context(), in)
	if err != nil {
		a.t.Fatal(err)
	}
	return *out.SnapshotId
}

func TestCopyHasTheContentsOfItsSource(t *testing.T) {
	a := newAccount(t, fakeaws.Options{CopyFor: time.Minute})
	parent := a.snapshot("", map[int32]byte{0: 1, 5: 2})
	source := a.snapshot(parent, map[int32]byte{5: 3, 7: 4})
	there := a.in("eu-west-1")
	id := there.copy(copyOf(source))
	if got := there.state(id); got != "pending" {
		t.Errorf("the copy is %s at once", got)
	}
	a.pass(time.Minute)
	if got := there.state(id); got != "completed" {
		t.Errorf("the copy is %s after a minute", got)
	}
	for _, original := range []string{source, parent} {
		if _, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &original}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[int32]byte{0: 1, 5: 3, 7: 4}, there.contents(id)); diff != "" {
		t.Errorf("blocks of the copy, without its source (-want +got):\n%s", diff)
	}
	_, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	wantError(t, err, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
	if got := a.Snapshots()[0]; got.CopiedFrom != source || got.Region != "eu-west-1" {
		t.Errorf("the copy is %+v", got)
	}
}

func TestCopyIsEncrypted(t *testing.T) {
	const customer = "arn:aws:kms:eu-west-1:111122223333:key/c"
	const ebsKey = "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000"
	cases := map[string]struct {
		reason    string
		byDefault bool
		source    bool
		in        ec2.CopySnapshotInput
		want      string
	}{
		"plain":          {"nobody asked for it", false, false, ec2.CopySnapshotInput{}, ""},
		"by the source":  {"a copy of what is encrypted is, by the default key of its own Region", false, true, ec2.CopySnapshotInput{}, ebsKey},
		"by the account": {"the account's setting holds for copies", true, false, ec2.CopySnapshotInput{}, ebsKey},
		"by the call":    {"the call may ask for it", false, false, ec2.CopySnapshotInput{Encrypted: aws.Bool(true)}, ebsKey},
		"by key id":      {"a key has several names", false, false, ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String("c")}, customer},
		"by key ARN":     {"a key has several names", false, true, ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String(customer)}, customer},
		"by alias":       {"a key has several names", true, false, ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/c")}, customer},
		"by alias ARN":   {"a key has several names", true, false, ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String("arn:aws:kms:eu-west-1:111122223333:alias/c")}, customer},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			a.AddKey(fakeaws.Key{ID: "c", Region: "eu-west-1", Aliases: []string{"alias/c"}})
			source := a.AddSnapshot(fakeaws.Snapshot{Encrypted: c.source})
			a.SetEncryptByDefault(c.byDefault)
			c.in.SourceRegion, c.in.SourceSnapshotId = aws.String("us-west-2"), &source
			there := a.in("eu-west-1")
			id := there.copy(&c.in)
			got := a.Snapshots()[1]
			if there.state(id) != "completed" || got.KMSKeyID != c.want || got.Encrypted != (c.want != "") {
				t.Errorf("%s: key %q, want %q: %+v", c.reason, got.KMSKeyID, c.want, got)
			}
		})
	}
}

func TestCopyFailsWhileItCopies(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     ec2.CopySnapshotInput
		before func(a *account, source string)
		want   string
	}{
		"unknown key":          {"the key is looked up later", ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String("alias/none")}, nil, "not accessible"},
		"key of another place": {"a key is of one Region", ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String("home")}, nil, "not accessible"},
		"disabled key":         {"it encrypts nothing", ec2.CopySnapshotInput{Encrypted: aws.Bool(true), KmsKeyId: aws.String("off")}, nil, "not accessible"},
		"unknown source":       {"the other Region is asked later", ec2.CopySnapshotInput{SourceSnapshotId: aws.String("snap-0123456789abcdef0")}, nil, "does not exist"},
		"another Region's":     {"the source is not where the call says", ec2.CopySnapshotInput{SourceRegion: aws.String("us-east-1")}, nil, "does not exist"},
		"foreign URL":          {"an encrypted source needs a call of its own", ec2.CopySnapshotInput{PresignedUrl: aws.String("http://127.0.0.1/?Action=CopySnapshot")}, nil, "PresignedUrl"},
		"deleted source": {"what is copied must stay", ec2.CopySnapshotInput{}, func(a *account, source string) {
			if _, err := a.ec2.DeleteSnapshot(a.t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &source}); err != nil {
				a.t.Fatal(err)
			}
		}, "was deleted"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{CopyFor: time.Minute})
			a.AddKey(fakeaws.Key{ID: "home"})
			a.AddKey(fakeaws.Key{ID: "off", Region: "eu-west-1", State: fakeaws.KeyDisabled})
			source := a.AddSnapshot(fakeaws.Snapshot{Encrypted: true})
			if c.in.SourceRegion == nil {
				c.in.SourceRegion = aws.String("us-west-2")
			}
			if c.in.SourceSnapshotId == nil {
				c.in.SourceSnapshotId = &source
			}
			there := a.in("eu-west-1")
			id := there.copy(&c.in)
			if c.before != nil {
				c.before(a, source)
			}
			if got := there.state(id); got != "pending" {
				t.Errorf("the copy is %s at once", got)
			}
			a.pass(time.Minute)
			got := describe(t, there.cfg, id)
			if got.State != types.SnapshotStateError || !strings.Contains(aws.ToString(got.StateMessage), c.want) {
				t.Errorf("%s: the copy is %s: %s", c.reason, got.State, aws.ToString(got.StateMessage))
			}
		})
	}
}

func TestCopyRefuses(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	completed := a.snapshot("", nil)
	pending := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	cases := map[string]struct {
		in   ec2.CopySnapshotInput
		want string
	}{
		"a pending source":      {ec2.CopySnapshotInput{SourceSnapshotId: &pending}, "IncorrectState"},
		"no snapshot id":        {ec2.CopySnapshotInput{SourceSnapshotId: aws.String("vol-1")}, "InvalidParameterValue"},
		"a disabled Region":     {ec2.CopySnapshotInput{SourceRegion: aws.String("af-south-1")}, "InvalidParameterValue"},
		"encrypted: false":      {ec2.CopySnapshotInput{Encrypted: aws.Bool(false)}, "InvalidParameterValue"},
		"a key without Encrypt": {ec2.CopySnapshotInput{KmsKeyId: aws.String("alias/aws/ebs")}, "InvalidParameterDependency"},
		"tags of a volume":      {ec2.CopySnapshotInput{TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVolume}}}, "InvalidParameterValue"},
		"a reserved tag":        {ec2.CopySnapshotInput{TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: tagList("aws:x", "")}}}, "InvalidParameterValue"},
		"a tag twice":           {ec2.CopySnapshotInput{TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: tagList("x", "1", "x", "2")}}}, "InvalidParameterValue"},
		"a dry run":             {ec2.CopySnapshotInput{DryRun: aws.Bool(true)}, "DryRunOperation"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.in.SourceSnapshotId == nil {
				c.in.SourceSnapshotId = &completed
			}
			if c.in.SourceRegion == nil {
				c.in.SourceRegion = aws.String("us-west-2")
			}
			_, err := a.in("eu-west-1").ec2.CopySnapshot(t.Context(), &c.in)
			wantError(t, err, c.want, "")
		})
	}
	if got := len(a.Snapshots()); got != 2 {
		t.Errorf("%d snapshots were made by refused calls", got-2)
	}
}

func TestCopiesAtOnceAreLimited(t *testing.T) {
	a := newAccount(t, fakeaws.Options{CopyFor: time.Minute})
	source := a.AddSnapshot(fakeaws.Snapshot{})
	there := a.in("eu-west-1")
	for range 20 {
		there.copy(copyOf(source))
	}
	_, err := there.ec2.CopySnapshot(t.Context(), copyOf(source))
	wantError(t, err, "ResourceLimitExceeded", "")
	a.in("us-east-1").copy(copyOf(source))
	a.pass(time.Minute)
	there.copy(copyOf(source))
}
