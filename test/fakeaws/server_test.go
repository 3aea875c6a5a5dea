package fakeaws_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/test/fakeaws"
)

// edit changes each request before it is signed.
func edit(change func(*smithyhttp.Request)) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Build.Add(middleware.BuildMiddlewareFunc("Edit", func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
			change(in.Request.(*smithyhttp.Request))
			return next.HandleBuild(ctx, in)
		}), middleware.After)
	}
}

func TestUnmodelledIsLoud(t *testing.T) {
	cases := map[string]struct {
		call func(*account) error
		want string
	}{
		"an action": {func(a *account) error {
			_, err := a.ec2.DescribeVolumes(a.t.Context(), nil)
			return err
		}, `Action "DescribeVolumes"`},
		"a filter": {func(a *account) error {
			a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
			_, err := a.ec2.DescribeSnapshots(a.t.Context(), &ec2.DescribeSnapshotsInput{Filters: []types.Filter{{Name: aws.String("transfer-type"), Values: []string{"standard"}}}})
			return err
		}, "filter transfer-type"},
		"a header field": {func(a *account) error {
			_, err := a.ebs.ListSnapshotBlocks(a.t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-0")}, func(o *ebs.Options) {
				o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) { r.Header.Set("X-Amz-Surprise", "1") }))
			})
			return err
		}, "header field X-Amz-Surprise"},
		"a query parameter": {func(a *account) error {
			_, err := a.ebs.ListSnapshotBlocks(a.t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: aws.String("snap-0")}, func(o *ebs.Options) {
				o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) { r.URL.RawQuery = "surprise=1" }))
			})
			return err
		}, "query parameter surprise"},
		"a body member": {func(a *account) error {
			return a.startRaw(`{"VolumeSize":1,"Surprise":true}`)
		}, "body member Surprise"},
		"a member below": {func(a *account) error {
			return a.startRaw(`{"VolumeSize":1,"Tags":[{"Key":"k","Value":"v","Surprise":1}]}`)
		}, "body member Tags"},
		"a wrong type": {func(a *account) error {
			return a.startRaw(`{"VolumeSize":"1"}`)
		}, "body member VolumeSize"},
		"a form parameter": {func(a *account) error {
			_, err := a.ec2.DeleteSnapshot(a.t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String("snap-0")}, func(o *ec2.Options) {
				o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) {
					*r = *must(r.SetStream(strings.NewReader("Action=DeleteSnapshot&Version=2016-11-15&SnapshotId=snap-0&Surprise.1=x")))
				}))
			})
			return err
		}, "parameter Surprise.1"},
		"another API version": {func(a *account) error {
			_, err := a.ec2.DeleteSnapshot(a.t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: aws.String("snap-0")}, func(o *ec2.Options) {
				o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) {
					*r = *must(r.SetStream(strings.NewReader("Action=DeleteSnapshot&Version=2015-01-01&SnapshotId=snap-0")))
				}))
			})
			return err
		}, `version "2015-01-01"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(epoch)
			server, err := fakeaws.New(fakeaws.Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			}()
			wantError(t, c.call(accountOf(t, server, clock)), "UnknownOperation", "")
			if got := server.Unmodelled(); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("unmodelled: %q, want %s", got, c.want)
			}
		})
	}
}

// startRaw starts a snapshot with a body that the SDK would not write.
func (a *account) startRaw(body string) error {
	_, err := a.ebs.StartSnapshot(a.t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}, func(o *ebs.Options) {
		o.APIOptions = append(o.APIOptions, edit(func(r *smithyhttp.Request) { *r = *must(r.SetStream(strings.NewReader(body))) }))
	})
	return err
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestSignatureIsVerified(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{})
	cases := map[string]struct {
		reason           string
		change           func(*aws.Config)
		ebs, ec2, stsErr string
	}{
		"unknown key": {"only one key is known", func(cfg *aws.Config) {
			cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIAOTHER", fakeaws.SecretAccessKey, "")
		}, "UnrecognizedClientException", "AuthFailure", "InvalidClientTokenId"},
		"wrong secret": {"the signature differs", func(cfg *aws.Config) {
			cfg.Credentials = credentials.NewStaticCredentialsProvider(fakeaws.AccessKeyID, "wrong", "")
		}, "InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"},
		"a Region that is not enabled": {"it knows nothing of the account", func(cfg *aws.Config) { cfg.Region = "af-south-1" },
			"UnrecognizedClientException", "AuthFailure", "InvalidClientTokenId"},
		"unsigned": {"there is no key at all", func(cfg *aws.Config) { cfg.Credentials = aws.AnonymousCredentials{} },
			"UnrecognizedClientException", "AuthFailure", "InvalidClientTokenId"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := server.Config()
			c.change(&cfg)
			cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
			_, err := ebs.NewFromConfig(cfg).StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
			wantError(t, err, c.ebs, "")
			_, err = ec2.NewFromConfig(cfg).DescribeSnapshots(t.Context(), nil)
			wantError(t, err, c.ec2, "")
			_, err = sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
			wantError(t, err, c.stsErr, "")
		})
	}
	if made := server.Snapshots(); len(made) != 0 {
		t.Errorf("%+v was made without a valid signature", made)
	}
}

// A checksum is signed in the place of its block, so a block cannot be exchanged on the way.
func TestSignedChecksumCannotBeChanged(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	_, err := a.ebs.PutSnapshotBlock(t.Context(), putInput(id, 0, block(1)), func(o *ebs.Options) {
		o.HTTPClient = exchange{other: block(2)}
	})
	wantError(t, err, "InvalidSignatureException", "")
}

func TestDenied(t *testing.T) {
	a := newAccount(t, fakeaws.Options{Denied: []string{"StartSnapshot", "DescribeSnapshots"}})
	_, err := a.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	wantError(t, err, "AccessDeniedException", "")
	_, err = a.ec2.DescribeSnapshots(t.Context(), nil)
	wantError(t, err, "UnauthorizedOperation", "")
}

func TestFaults(t *testing.T) {
	// The SDK writes the token that it makes into the input, so each call needs one of its own.
	start := func() *ebs.StartSnapshotInput { return &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)} }
	cases := map[fakeaws.Kind]struct {
		made   int
		status int
	}{
		fakeaws.Throttle:     {0, http.StatusBadRequest},
		fakeaws.ServerError:  {0, http.StatusInternalServerError},
		fakeaws.Denied:       {0, http.StatusForbidden},
		fakeaws.Error:        {0, http.StatusTeapot},
		fakeaws.LostResponse: {1, 0},
	}
	for kind, c := range cases {
		t.Run(string(kind), func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			a.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: kind, Skip: 1, Times: 1, Status: http.StatusTeapot, Code: "Surprise"})
			a.start(start())
			_, err := a.ebs.StartSnapshot(t.Context(), start())
			if got := statusOf(err); err == nil || got != c.status {
				t.Errorf("status %d, want %d: %v", got, c.status, err)
			}
			if made := len(a.Snapshots()) - 1; made != c.made {
				t.Errorf("%d snapshots were made, want %d", made, c.made)
			}
			a.start(start())
		})
	}
}

func TestDelayAndHeal(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	a.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Delay, Delay: 30 * time.Millisecond, Times: 1})
	before := time.Now()
	a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	if took := time.Since(before); took < 30*time.Millisecond {
		t.Errorf("a call delayed by 30 ms took %s", took)
	}
	a.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Stuck})
	a.Heal()
	a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
}

func TestEnvNamesThisServerOnly(t *testing.T) {
	server := fakeaws.NewForTest(t, fakeaws.Options{Region: "eu-west-1"})
	environment := server.Env()
	if environment["AWS_ENDPOINT_URL"] != server.URL() || environment["AWS_REGION"] != "eu-west-1" || environment["AWS_EC2_METADATA_DISABLED"] != "true" {
		t.Errorf("environment %v", environment)
	}
}
