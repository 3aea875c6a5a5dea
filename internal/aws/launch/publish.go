package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// versionsPerDeletion is the most that EC2 deletes at once.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html
const versionsPerDeletion = 200

const (
	// longestUnseen is more than EC2 takes until it finds what it made.
	// https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
	longestUnseen = 10 * time.Minute
	// mostBurnt is how many tokens of deleted versions are passed over.
	mostBurnt = 20
)

// codeDiffers takes the place of AWS's code where EC2 kept other devices than it was sent.
const codeDiffers = "DevicesDiffer"

// Error gives the codes and messages.
func (e *RefusedError) Error() string {
	said := make([]string, 0, len(e.Codes))
	for i, code := range e.Codes {
		said = append(said, code+": "+e.Messages[i])
	}
	return strings.Join(said, "; ")
}

// Unwrap returns why the version was not deleted.
func (e *RefusedError) Unwrap() error { return e.NotDeleted }

// CreateVersion makes a version and returns it as EC2 has it. One that EC2 warns of, or that has other devices than asked
// for, is deleted again; the error is a *RefusedError then.
func (c *Client) CreateVersion(ctx context.Context, version NewVersion) (Version, error) {
	doing := fmt.Sprintf("creating a version of launch template %s from version %d", version.TemplateID, version.Source)
	input := inputOf(version)
	for range mostBurnt {
		out, err := c.ec2.CreateLaunchTemplateVersion(ctx, input)
		if err != nil {
			return Version{}, fmt.Errorf("%s: %w", doing, err)
		}
		if out.LaunchTemplateVersion == nil {
			return Version{}, fmt.Errorf("%s: EC2 answered without one", doing)
		}
		made := versionOf(*out.LaunchTemplateVersion)
		if refused := refusal(out.Warning, version.Devices, made.Devices); refused != nil {
			refused.Number, refused.NotDeleted = made.Number, c.DeleteVersions(ctx, version.TemplateID, []int64{made.Number})
			return Version{}, fmt.Errorf("%s: %w", doing, refused)
		}
		gone, err := c.isGone(ctx, made)
		if err != nil {
			return Version{}, err
		}
		if !gone {
			return made, nil
		}
		input.ClientToken = aws.String(tokenAfter(*input.ClientToken, made.Number))
	}
	return Version{}, fmt.Errorf("%s: each of %d was deleted by somebody else: see in CloudTrail who does it", doing, mostBurnt)
}

func inputOf(version NewVersion) *ec2.CreateLaunchTemplateVersionInput {
	data := &types.RequestLaunchTemplateData{}
	for _, device := range version.Devices {
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, requestOf(device))
	}
	if len(version.Devices) == 0 {
		data.UserData = aws.String(version.UserData)
	}
	return &ec2.CreateLaunchTemplateVersionInput{
		LaunchTemplateId:   aws.String(version.TemplateID),
		SourceVersion:      aws.String(strconv.FormatInt(version.Source, 10)),
		VersionDescription: aws.String(version.Description),
		ClientToken:        aws.String(version.Token),
		LaunchTemplateData: data,
	}
}

// isGone tells whether the version was made by an earlier call with the same token, and deleted since. A version that is
// new may not be found yet.
func (c *Client) isGone(ctx context.Context, made Version) (bool, error) {
	if time.Since(made.CreateTime) < longestUnseen {
		return false, nil
	}
	found, err := c.versions(ctx, template{id: made.TemplateID}, []string{strconv.FormatInt(made.Number, 10)})
	return len(found) == 0, err
}

// tokenAfter replaces a token whose version was deleted: it will give that version for as long as EC2 remembers it. The
// next one is always the same, so that it makes one version too.
func tokenAfter(token string, number int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", token, number))
	return hex.EncodeToString(sum[:])
}

func refusal(warning *types.ValidationWarning, sent, kept []Device) *RefusedError {
	refused := &RefusedError{}
	if warning != nil {
		for _, one := range warning.Errors {
			refused.Codes = append(refused.Codes, aws.ToString(one.Code))
			refused.Messages = append(refused.Messages, aws.ToString(one.Message))
		}
	}
	if len(refused.Codes) == 0 && !reflect.DeepEqual(slices.Concat(sent), slices.Concat(kept)) {
		refused.Codes = append(refused.Codes, codeDiffers)
		refused.Messages = append(refused.Messages, "EC2 kept other block devices than it was sent")
	}
	if len(refused.Codes) == 0 {
		return nil
	}
	return refused
}

// SetDefault makes a version the template's default one.
func (c *Client) SetDefault(ctx context.Context, templateID string, number int64) error {
	_, err := c.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{
		LaunchTemplateId: aws.String(templateID), DefaultVersion: aws.String(strconv.FormatInt(number, 10)),
	})
	if err != nil {
		return fmt.Errorf("making version %d the default one of launch template %s: %w", number, templateID, err)
	}
	return nil
}

// DeleteVersions deletes these versions; one that does not exist is no error. Of the others all are tried.
func (c *Client) DeleteVersions(ctx context.Context, templateID string, numbers []int64) error {
	var failed []error
	for part := range slices.Chunk(numbers, versionsPerDeletion) {
		input := &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: aws.String(templateID)}
		for _, number := range part {
			input.Versions = append(input.Versions, strconv.FormatInt(number, 10))
		}
		out, err := c.ec2.DeleteLaunchTemplateVersions(ctx, input)
		if err != nil {
			failed = append(failed, fmt.Errorf("deleting versions %s of launch template %s: %w", strings.Join(input.Versions, ", "), templateID, err))
			continue
		}
		for _, kept := range out.UnsuccessfullyDeletedLaunchTemplateVersions {
			if err := notDeleted(kept); err != nil {
				failed = append(failed, fmt.Errorf("deleting version %d of launch template %s: %w", aws.ToInt64(kept.VersionNumber), templateID, err))
			}
		}
	}
	return errors.Join(failed...)
}

// notDeleted returns why, nil for a version that was gone already.
func notDeleted(item types.DeleteLaunchTemplateVersionsResponseErrorItem) error {
	if item.ResponseError == nil {
		return errors.New("EC2 does not say why not")
	}
	switch item.ResponseError.Code {
	case types.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist:
		return nil
	default:
		return fmt.Errorf("%s: %s", item.ResponseError.Code, aws.ToString(item.ResponseError.Message))
	}
}
