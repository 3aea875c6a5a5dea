package fakeaws

import (
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxDeletedVersions is of one call.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteLaunchTemplateVersions.html
const maxDeletedVersions = 200

func (s *Server) createLaunchTemplateVersion(region string, in *ec2.CreateLaunchTemplateVersionInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once(region, in.ClientToken, in, func() (any, error) {
		of, err := s.template(region, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		data := in.LaunchTemplateData
		if in.SourceVersion != nil && data != nil {
			source, err := of.version(*in.SourceVersion)
			if err != nil {
				return nil, err
			}
			data = inherit(source.data, *data)
		}
		made, err := s.addVersion(of, data, in.VersionDescription)
		if err != nil {
			return nil, err
		}
		answer := createLaunchTemplateVersionAnswer{RequestID: "fakeaws", Version: s.describeVersion(of, made)}
		if s.options.WarnOfSnapshots {
			answer.Warning = s.warnOf(made)
		}
		return answer, nil
	})
}

// inherit returns the source's data with what is given instead. Snapshots are not inherited.
func inherit(source, given types.RequestLaunchTemplateData) *types.RequestLaunchTemplateData {
	next := source
	next.BlockDeviceMappings = nil
	for _, device := range source.BlockDeviceMappings {
		if device.Ebs != nil {
			disk := *device.Ebs
			disk.SnapshotId = nil
			device.Ebs = &disk
		}
		next.BlockDeviceMappings = append(next.BlockDeviceMappings, device)
	}
	if given.BlockDeviceMappings != nil {
		next.BlockDeviceMappings = given.BlockDeviceMappings
	}
	if given.ImageId != nil {
		next.ImageId = given.ImageId
	}
	if given.InstanceType != "" {
		next.InstanceType = given.InstanceType
	}
	if given.InstanceMarketOptions != nil {
		next.InstanceMarketOptions = given.InstanceMarketOptions
	}
	if given.TagSpecifications != nil {
		next.TagSpecifications = given.TagSpecifications
	}
	if given.UserData != nil {
		next.UserData = given.UserData
	}
	return &next
}

// warnOf tells of each snapshot that does not exist; nil when all do.
func (s *Server) warnOf(version *templateVersion) *warningAnswer {
	var warning warningAnswer
	for _, device := range version.data.BlockDeviceMappings {
		if device.Ebs == nil || device.Ebs.SnapshotId == nil {
			continue
		}
		if id := *device.Ebs.SnapshotId; s.snapshots[id] == nil {
			warning.Errors = append(warning.Errors, codedAnswer{Code: "InvalidSnapshot.NotFound", Message: "The snapshot '" + id + "' does not exist."})
		}
	}
	if len(warning.Errors) == 0 {
		return nil
	}
	return &warning
}

func (s *Server) deleteLaunchTemplateVersions(region string, in *ec2.DeleteLaunchTemplateVersionsInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	switch {
	case len(in.Versions) == 0:
		return nil, ec2Error("MissingParameter", "The request must contain the parameter LaunchTemplateVersion")
	case len(in.Versions) > maxDeletedVersions:
		return nil, ec2Error("InvalidParameterValue", "No more than %d launch template versions can be deleted at once.", maxDeletedVersions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of, err := s.template(region, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	answer := deleteLaunchTemplateVersionsAnswer{RequestID: "fakeaws"}
	for _, name := range in.Versions {
		number, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return nil, ec2Error("InvalidParameterValue", "'%s' is no launch template version.", name)
		}
		item := deletedVersionAnswer{TemplateID: of.id, TemplateName: of.name, Number: number}
		if item.Error = of.deleteVersion(number); item.Error == nil {
			answer.Deleted = append(answer.Deleted, item)
		} else {
			answer.Kept = append(answer.Kept, item)
		}
	}
	return answer, nil
}

// deleteVersion returns why it does not; nil when it did.
func (t *launchTemplate) deleteVersion(number int64) *codedAnswer {
	at := slices.IndexFunc(t.versions, func(one *templateVersion) bool { return one.number == number })
	switch {
	case at < 0:
		return &codedAnswer{Code: string(types.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist), Message: "The specified launch template version does not exist."}
	case number == t.defaultVersion:
		return &codedAnswer{Code: string(types.LaunchTemplateErrorCodeUnexpectedError), Message: "The default version of a launch template cannot be deleted."}
	}
	t.versions = slices.Delete(t.versions, at, at+1)
	return nil
}

// SetVersionCreator makes a version of a launch template another principal's, at another time; false if there is none.
func (s *Server) SetVersionCreator(templateID string, number int64, arn string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.templates {
		for _, one := range of.versions {
			if of.id == templateID && one.number == number {
				one.createdBy, one.createdAt = arn, at
				return true
			}
		}
	}
	return false
}
