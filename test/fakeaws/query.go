package fakeaws

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The query APIs. Their versions: https://docs.aws.amazon.com/AWSEC2/latest/APIReference, STS's, Auto Scaling's.
var (
	ec2API         = api{protocol: ec2Query, service: "ec2", version: "2016-11-15"}
	stsAPI         = api{protocol: awsQuery, service: "sts", version: "2011-06-15"}
	autoScalingAPI = api{protocol: awsQuery, service: "autoscaling", version: "2011-01-01"}
)

// queryActions are the modelled calls of EC2, Auto Scaling and STS by name.
var queryActions = func() map[string]action {
	ec2Probe := ec2.New(ec2.Options{Region: "probe", HTTPClient: recorder{}, Retryer: aws.NopRetryer{}, Credentials: probeCredentials})
	stsProbe := sts.New(sts.Options{Region: "probe", HTTPClient: recorder{}, Retryer: aws.NopRetryer{}, Credentials: probeCredentials})
	scalingProbe := autoscaling.New(autoscaling.Options{Region: "probe", HTTPClient: recorder{}, Retryer: aws.NopRetryer{}, Credentials: probeCredentials})
	actions := map[string]action{}
	for _, a := range []action{
		queryAction(ec2API, "DescribeSnapshots", ec2Probe.DescribeSnapshots, (*Server).describeSnapshots),
		queryAction(ec2API, "DeleteSnapshot", ec2Probe.DeleteSnapshot, (*Server).deleteSnapshot),
		queryAction(ec2API, "CopySnapshot", ec2Probe.CopySnapshot, (*Server).copySnapshot),
		queryAction(ec2API, "CreateTags", ec2Probe.CreateTags, (*Server).createTags),
		queryAction(ec2API, "DeleteTags", ec2Probe.DeleteTags, (*Server).deleteTags),
		queryAction(ec2API, "ModifySnapshotAttribute", ec2Probe.ModifySnapshotAttribute, (*Server).modifySnapshotAttribute),
		queryAction(ec2API, "DescribeSnapshotAttribute", ec2Probe.DescribeSnapshotAttribute, (*Server).describeSnapshotAttribute),
		queryAction(ec2API, "EnableFastSnapshotRestores", ec2Probe.EnableFastSnapshotRestores, (*Server).enableFastSnapshotRestores),
		queryAction(ec2API, "DisableFastSnapshotRestores", ec2Probe.DisableFastSnapshotRestores, (*Server).disableFastSnapshotRestores),
		queryAction(ec2API, "DescribeFastSnapshotRestores", ec2Probe.DescribeFastSnapshotRestores, (*Server).describeFastSnapshotRestores),
		queryAction(ec2API, "DescribeRegions", ec2Probe.DescribeRegions, (*Server).describeRegions),
		queryAction(ec2API, "DescribeImages", ec2Probe.DescribeImages, (*Server).describeImages, imageMembers...),
		queryAction(ec2API, "CreateLaunchTemplate", ec2Probe.CreateLaunchTemplate, (*Server).createLaunchTemplate,
			append([]string{"ClientToken", "DryRun", "LaunchTemplateName", "TagSpecifications", "VersionDescription"}, templateMembers...)...),
		queryAction(ec2API, "CreateLaunchTemplateVersion", ec2Probe.CreateLaunchTemplateVersion, (*Server).createLaunchTemplateVersion,
			append([]string{"ClientToken", "DryRun", "LaunchTemplateId", "LaunchTemplateName", "SourceVersion", "VersionDescription"}, templateMembers...)...),
		queryAction(ec2API, "ModifyLaunchTemplate", ec2Probe.ModifyLaunchTemplate, (*Server).modifyLaunchTemplate),
		queryAction(ec2API, "DeleteLaunchTemplateVersions", ec2Probe.DeleteLaunchTemplateVersions, (*Server).deleteLaunchTemplateVersions),
		queryAction(ec2API, "DeleteLaunchTemplate", ec2Probe.DeleteLaunchTemplate, (*Server).deleteLaunchTemplate),
		queryAction(ec2API, "DescribeLaunchTemplates", ec2Probe.DescribeLaunchTemplates, (*Server).describeLaunchTemplates,
			"DryRun", "LaunchTemplateIds", "LaunchTemplateNames", "MaxResults", "NextToken"),
		queryAction(ec2API, "DescribeLaunchTemplateVersions", ec2Probe.DescribeLaunchTemplateVersions, (*Server).describeLaunchTemplateVersions,
			"DryRun", "LaunchTemplateId", "LaunchTemplateName", "Versions", "MaxResults", "NextToken"),
		queryAction(autoScalingAPI, "CreateAutoScalingGroup", scalingProbe.CreateAutoScalingGroup, (*Server).createAutoScalingGroup, groupMembers...),
		queryAction(autoScalingAPI, "UpdateAutoScalingGroup", scalingProbe.UpdateAutoScalingGroup, (*Server).updateAutoScalingGroup, groupMembers...),
		queryAction(autoScalingAPI, "DeleteAutoScalingGroup", scalingProbe.DeleteAutoScalingGroup, (*Server).deleteAutoScalingGroup),
		queryAction(autoScalingAPI, "DescribeAutoScalingGroups", scalingProbe.DescribeAutoScalingGroups, (*Server).describeAutoScalingGroups,
			"AutoScalingGroupNames", "MaxRecords", "NextToken"),
		queryAction(autoScalingAPI, "StartInstanceRefresh", scalingProbe.StartInstanceRefresh, (*Server).startInstanceRefresh, refreshMembers...),
		queryAction(autoScalingAPI, "DescribeInstanceRefreshes", scalingProbe.DescribeInstanceRefreshes, (*Server).describeInstanceRefreshes),
		queryAction(autoScalingAPI, "CancelInstanceRefresh", scalingProbe.CancelInstanceRefresh, (*Server).cancelInstanceRefresh, "AutoScalingGroupName"),
		queryAction(autoScalingAPI, "RollbackInstanceRefresh", scalingProbe.RollbackInstanceRefresh, (*Server).rollbackInstanceRefresh),
		queryAction(autoScalingAPI, "DescribeScalingActivities", scalingProbe.DescribeScalingActivities, (*Server).describeScalingActivities,
			"AutoScalingGroupName", "Filters", "MaxRecords", "NextToken"),
		queryAction(stsAPI, "GetCallerIdentity", stsProbe.GetCallerIdentity, (*Server).getCallerIdentity),
	} {
		actions[a.name] = a
	}
	return actions
}()

func identifyQuery(r *http.Request, body []byte) (action, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return action{}, unmodelled("%s %s: the body is no form: %v", r.Method, r.URL.Path, err)
	}
	found, ok := queryActions[form.Get("Action")]
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.URL.RawQuery != "" || !ok {
		return action{}, unmodelled("%s %s with Action %q", r.Method, r.URL, form.Get("Action"))
	}
	return found, nil
}

// queryAction models one call, whose parameters' names on the wire are learnt from the SDK. With members only
// those and what is below them is modelled; a member of a member follows it with a dot.
func queryAction[In, Out, O any](
	of api, name string,
	call func(context.Context, *In, ...func(*O)) (*Out, error),
	serve func(s *Server, region string, in *In) (any, error),
	members ...string,
) action {
	parameters := learn(func(ctx context.Context, input *In) error {
		_, err := call(ctx, input)
		return err
	}, members)
	return action{api: of, name: name, serve: func(s *Server, r *http.Request, body []byte) (answer, error) {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return answer{}, unmodelled("%s: the body is no form: %v", name, err)
		}
		if got := form.Get("Version"); got != of.version {
			return answer{}, unmodelled("%s: version %q instead of %s", name, got, of.version)
		}
		input := new(In)
		if err := parameters.decode(name, form, reflect.ValueOf(input).Elem()); err != nil {
			return answer{}, err
		}
		output, err := serve(s, regionOf(r), input)
		if err != nil {
			return answer{}, err
		}
		written, err := xml.Marshal(output)
		if err != nil {
			return answer{}, fmt.Errorf("encoding the answer of %s: %w", name, err)
		}
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/xml;charset=UTF-8"}}, body: written}, nil
	}}
}

// wireNames maps a parameter like "Filter.N.Value.N" to the path of struct fields and list elements below the
// input, like Filters, element, Values, element.
type wireNames map[string][]int

// element is the step of a path that stands for a list's elements.
const element = -1

var listIndex = regexp.MustCompile(`\.(\d+)(\.|$)`)

// decode sets the input's fields from the form and refuses what it has no field for.
func (names wireNames) decode(call string, form url.Values, input reflect.Value) error {
	for _, key := range slices.Sorted(maps.Keys(form)) {
		if key == "Action" || key == "Version" {
			continue
		}
		path, known := names[listIndex.ReplaceAllString(key, ".N$2")]
		if !known || len(form[key]) != 1 {
			return unmodelled("%s: parameter %s, %d times", call, key, len(form[key]))
		}
		var indexes []int
		for _, match := range listIndex.FindAllStringSubmatch(key, -1) {
			// The pattern admits digits only; an overflow is out of bounds below.
			index, _ := strconv.Atoi(match[1])
			indexes = append(indexes, index-1)
		}
		if err := set(input, path, indexes, form.Get(key)); err != nil {
			return ec2Error("InvalidParameterValue", "Value (%s) for parameter %s is invalid: %v", form.Get(key), key, err)
		}
	}
	return nil
}

// maxElements bounds a list of a request: EC2 takes 200 filter values.
const maxElements = 1000

func set(at reflect.Value, path, indexes []int, value string) error {
	for _, step := range path {
		if at.Kind() == reflect.Pointer {
			if at.IsNil() {
				at.Set(reflect.New(at.Type().Elem()))
			}
			at = at.Elem()
		}
		if step != element {
			at = at.Field(step)
			continue
		}
		index := indexes[0]
		indexes = indexes[1:]
		if index < 0 || index >= maxElements {
			return errors.New("the list index is out of bounds")
		}
		for at.Len() <= index {
			at.Set(reflect.Append(at, reflect.Zero(at.Type().Elem())))
		}
		at = at.Index(index)
	}
	if at.Kind() == reflect.Pointer {
		at.Set(reflect.New(at.Type().Elem()))
		at = at.Elem()
	}
	switch at.Kind() {
	case reflect.String:
		at.SetString(value)
	case reflect.Bool:
		parsed, err := strconv.ParseBool(value)
		if err != nil {
			return err
		}
		at.SetBool(parsed)
	default:
		parsed, err := strconv.ParseInt(value, 10, at.Type().Bits())
		if err != nil {
			return err
		}
		at.SetInt(parsed)
	}
	return nil
}
