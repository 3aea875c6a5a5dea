package fakeaws

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxVersionDescription is in characters.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplateVersion.html
const maxVersionDescription = 255

// Versions that stand for a number.
const (
	latestVersion  = "$Latest"
	defaultVersion = "$Default"
)

// templateMembers are the modelled members of a launch template's data.
var templateMembers = []string{
	"LaunchTemplateData.BlockDeviceMappings.DeviceName",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.DeleteOnTermination",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.EbsCardIndex",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.Encrypted",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.Iops",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.KmsKeyId",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.SnapshotId",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.Throughput",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.VolumeInitializationRate",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.VolumeSize",
	"LaunchTemplateData.BlockDeviceMappings.Ebs.VolumeType",
	"LaunchTemplateData.BlockDeviceMappings.NoDevice",
	"LaunchTemplateData.BlockDeviceMappings.VirtualName",
	"LaunchTemplateData.ImageId",
	"LaunchTemplateData.InstanceMarketOptions.MarketType",
	"LaunchTemplateData.InstanceType",
	"LaunchTemplateData.TagSpecifications",
	"LaunchTemplateData.UserData",
}

// launchTemplate is guarded by Server.mu.
type launchTemplate struct {
	region, id, name string
	createdAt        time.Time
	tags             map[string]string
	defaultVersion   int64
	// versions are those that exist, in the order of their numbers, which begin at 1 and are given once.
	versions     []*templateVersion
	versionsMade int64
}

type templateVersion struct {
	number      int64
	description string
	createdAt   time.Time
	// createdBy is the ARN of a principal.
	createdBy string
	data      types.RequestLaunchTemplateData
}

// addVersion is called with the lock held.
func (s *Server) addVersion(to *launchTemplate, data *types.RequestLaunchTemplateData, description *string) (*templateVersion, error) {
	switch {
	case data == nil:
		return nil, ec2Error("MissingParameter", "The request must contain the parameter LaunchTemplateData")
	case len(aws.ToString(description)) > maxVersionDescription:
		return nil, ec2Error("InvalidParameterValue", "The version description is longer than %d characters.", maxVersionDescription)
	case len(to.versions) >= s.options.TemplateVersions:
		return nil, ec2Error("MaxTemplateVersionLimitExceeded", "Launch template %s has already reached max permitted versions.", to.id)
	}
	to.versionsMade++
	added := &templateVersion{
		number: to.versionsMade, description: aws.ToString(description), createdAt: s.options.Clock.Now(), createdBy: s.callerARN(), data: *data,
	}
	to.versions = append(to.versions, added)
	return added, nil
}

func (t *launchTemplate) latest() *templateVersion { return t.versions[len(t.versions)-1] }

// version finds a version by its number, $Latest or $Default.
func (t *launchTemplate) version(name string) (*templateVersion, error) {
	number, err := strconv.ParseInt(name, 10, 64)
	switch name {
	case latestVersion:
		return t.latest(), nil
	case defaultVersion:
		number, err = t.defaultVersion, nil
	}
	if err != nil {
		return nil, ec2Error("InvalidParameterValue", "'%s' is no launch template version.", name)
	}
	at := slices.IndexFunc(t.versions, func(one *templateVersion) bool { return one.number == number })
	if at < 0 {
		return nil, ec2Error("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", name, t.id)
	}
	return t.versions[at], nil
}

var (
	templateID   = regexp.MustCompile(`^lt-[0-9a-f]{17}$`)
	templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)
)

// template finds a launch template by exactly one of id and name. It is called with the lock held.
func (s *Server) template(region string, id, name *string) (*launchTemplate, error) {
	switch {
	case id == nil && name == nil:
		return nil, ec2Error("MissingParameter", "Either a launch template ID or a launch template name must be specified in the request.")
	case id != nil && name != nil:
		return nil, ec2Error("InvalidParameterCombination", "Either a launch template ID or a launch template name must be specified, but not both.")
	case id != nil && !templateID.MatchString(*id):
		return nil, ec2Error("InvalidLaunchTemplateId.Malformed", "Launch template ID '%s' is invalid.", *id)
	}
	for _, one := range s.templates {
		if one.region == region && (one.id == aws.ToString(id) || one.name == aws.ToString(name)) {
			return one, nil
		}
	}
	if id != nil {
		return nil, ec2Error("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", *id)
	}
	return nil, ec2Error("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist.", *name)
}

func (s *Server) createLaunchTemplate(region string, in *ec2.CreateLaunchTemplateInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once(region, in.ClientToken, in, func() (any, error) {
		name := aws.ToString(in.LaunchTemplateName)
		if !templateName.MatchString(name) {
			return nil, ec2Error("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
		}
		if _, err := s.template(region, nil, &name); err == nil {
			return nil, ec2Error("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
		tags, err := specifiedTags(in.TagSpecifications, types.ResourceTypeLaunchTemplate)
		if err != nil {
			return nil, err
		}
		s.templatesMade++
		made := &launchTemplate{
			region: region, id: fmt.Sprintf("lt-%017x", s.templatesMade), name: name,
			createdAt: s.options.Clock.Now(), tags: tags, defaultVersion: 1,
		}
		if _, err := s.addVersion(made, in.LaunchTemplateData, in.VersionDescription); err != nil {
			return nil, err
		}
		s.templates = append(s.templates, made)
		return createLaunchTemplateAnswer{RequestID: "fakeaws", Template: s.describeTemplate(made)}, nil
	})
}

func (s *Server) modifyLaunchTemplate(region string, in *ec2.ModifyLaunchTemplateInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.once(region, in.ClientToken, in, func() (any, error) {
		found, err := s.template(region, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		version, err := found.version(aws.ToString(in.DefaultVersion))
		if err != nil {
			return nil, err
		}
		found.defaultVersion = version.number
		return modifyLaunchTemplateAnswer{RequestID: "fakeaws", Template: s.describeTemplate(found)}, nil
	})
}

func (s *Server) deleteLaunchTemplate(region string, in *ec2.DeleteLaunchTemplateInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.template(region, in.LaunchTemplateId, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	s.templates = slices.DeleteFunc(s.templates, func(one *launchTemplate) bool { return one == found })
	return deleteLaunchTemplateAnswer{RequestID: "fakeaws", Template: s.describeTemplate(found)}, nil
}

// remembered is what a client token did.
type remembered struct{ input, result any }

// once does what a client token asks for, or answers as the first time. It is called with the lock held.
func (s *Server) once(region string, token *string, input any, do func() (any, error)) (any, error) {
	if len(aws.ToString(token)) > 128 {
		return nil, ec2Error("InvalidParameterValue", "The client token is longer than 128 characters.")
	}
	key := strings.Join([]string{region, reflect.TypeOf(input).String(), aws.ToString(token)}, " ")
	before, known := s.remembered[key]
	switch {
	case token == nil:
		return do()
	case known && !reflect.DeepEqual(before.input, input):
		return nil, ec2Error("IdempotentParameterMismatch", "The client token was used before with other parameters.")
	case known:
		return before.result, nil
	}
	result, err := do()
	if err == nil {
		s.remembered[key] = remembered{input, result}
	}
	return result, err
}

func (s *Server) describeTemplate(one *launchTemplate) launchTemplateAnswer {
	return launchTemplateAnswer{
		ID:             one.id,
		Name:           one.name,
		CreateTime:     one.createdAt.UTC().Format(time.RFC3339),
		CreatedBy:      s.callerARN(),
		DefaultVersion: one.defaultVersion,
		LatestVersion:  one.latest().number,
		Tags:           tagAnswers(one.tags),
	}
}
