package ecsservice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// ECS's own words for what it answers.
const (
	statusActive           = "ACTIVE"
	controllerECS          = "ECS"
	schedulingReplica      = "REPLICA"
	launchManagedInstances = "MANAGED_INSTANCES"
	launchExternal         = "EXTERNAL"
)

// larderFilesystem is that of every volume that Larder makes.
const larderFilesystem = "ext4"

// oldPlatforms are the versions of Fargate that cannot attach EBS volumes:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ebs-volumes.html
var oldPlatforms = []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"}

// check says what keeps tasks from starting with the snapshot's volume, or from finding it, before anything is planned.
func (o *observation) check(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) (*binding.Problem, []binding.Warning) {
	target := b.Spec.Target.ECSService
	if problem := o.checkService(target); problem != nil {
		return problem, nil
	}
	if problem := o.checkDefinition(target); problem != nil {
		return problem, nil
	}
	return checkFormat(target, snapshot), o.warnings(target, snapshot)
}

func (o *observation) checkService(target *v1alpha1.ECSServiceTarget) *binding.Problem {
	service := o.service
	switch {
	case service.Controller != controllerECS:
		return unsupported("%s is deployed by %s, and the volumes of its task sets cannot be configured: create a service with "+
			"the deployment controller ECS", nameOf(target), service.Controller)
	case service.Scheduling != schedulingReplica:
		return unsupported("%s is of the scheduling strategy %s, for which ECS makes no volumes: create a service of the strategy "+
			"REPLICA", nameOf(target), service.Scheduling)
	case service.LaunchType == launchManagedInstances, len(o.managed) > 0:
		return unsupported("%s runs on ECS Managed Instances%s, whose volumes Larder does not configure: run it on EC2 or Fargate",
			nameOf(target), inBrackets(o.managed))
	case service.LaunchType == launchExternal:
		return unsupported("%s runs on machines outside of AWS, to which no EBS volume can be attached: run it on EC2 or Fargate",
			nameOf(target))
	case slices.Contains(oldPlatforms, service.PlatformVersion):
		return unsupported("%s runs on Fargate's platform version %s, which attaches no EBS volumes: update it to 1.4.0 or later",
			nameOf(target), service.PlatformVersion)
	case !service.CanBeTagged():
		return unsupported("the ARN %s of %s is of the old format, which cannot be tagged, and Larder keeps in a tag what the "+
			"service had before: create the service anew", service.ARN, nameOf(target))
	}
	return nil
}

func inBrackets(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (capacity provider " + strings.Join(names, ", ") + ")"
}

func (o *observation) checkDefinition(target *v1alpha1.ECSServiceTarget) *binding.Problem {
	if !slices.Contains(o.definition.ConfiguredAtLaunch, target.VolumeName) {
		are := "none of its volumes is"
		if names := o.definition.ConfiguredAtLaunch; len(names) > 0 {
			are = strings.Join(names, ", ") + " is"
		}
		return &binding.Problem{
			Reason: v1alpha1.ReasonVolumeNotConfigurable, Stalled: true, RetryAfter: deniedRetry,
			Message: fmt.Sprintf("task definition %s of %s has no volume %s that is configured at launch; %s: register a revision "+
				"whose volume %[3]s has configuredAtLaunch, or name another volume", o.definition.Name, nameOf(target),
				target.VolumeName, are),
		}
	}
	if strings.HasPrefix(o.definition.OperatingSystem, "WINDOWS") {
		return &binding.Problem{
			Reason: v1alpha1.ReasonFilesystemMismatch, Stalled: true, RetryAfter: deniedRetry,
			Message: fmt.Sprintf("the tasks of %s run on %s, which does not read the %s of Larder's volumes: bind a service that "+
				"runs on Linux", nameOf(target), o.definition.OperatingSystem, larderFilesystem),
		}
	}
	return nil
}

// checkFormat is about a snapshot whose format is known: then Larder made it.
func checkFormat(target *v1alpha1.ECSServiceTarget, snapshot binding.Snapshot) *binding.Problem {
	switch {
	case snapshot.Format == "":
		return nil
	case snapshot.Format != v1alpha1.FormatFiles:
		return &binding.Problem{
			Reason: v1alpha1.ReasonFormatMismatch, Stalled: true,
			Message: fmt.Sprintf("snapshot %s has the format %s, which is for nodes, and the tasks of %s read files: bind a snapshot "+
				"of the format Files", snapshot.ID, snapshot.Format, nameOf(target)),
		}
	case filesystemOf(target) != larderFilesystem:
		return &binding.Problem{
			Reason: v1alpha1.ReasonFilesystemMismatch, Stalled: true,
			Message: fmt.Sprintf("ecsService.filesystemType is %s, and snapshot %s has %s: the tasks of %s would not start; set it to "+
				"%[3]s, or leave it out", filesystemOf(target), snapshot.ID, larderFilesystem, nameOf(target)),
		}
	}
	return nil
}

func filesystemOf(target *v1alpha1.ECSServiceTarget) string {
	if target.FilesystemType == "" {
		return larderFilesystem
	}
	return target.FilesystemType
}

func (o *observation) warnings(target *v1alpha1.ECSServiceTarget, snapshot binding.Snapshot) []binding.Warning {
	var warnings []binding.Warning
	if !slices.Contains(o.definition.Mounted, target.VolumeName) {
		warnings = append(warnings, binding.Warning{
			Reason: v1alpha1.ReasonDeviceNotMounted,
			Message: fmt.Sprintf("no container of task definition %s mounts volume %s: name it as the sourceVolume of a mount point",
				o.definition.Name, target.VolumeName),
		})
	}
	if snapshot.ID != "" && snapshot.Format == "" {
		warnings = append(warnings, binding.Warning{
			Reason: v1alpha1.ReasonNotChecked,
			Message: fmt.Sprintf("the format of snapshot %s is not known: make sure that it has the format Files and an %s "+
				"filesystem without partitions", snapshot.ID, filesystemOf(target)),
		})
	}
	if snapshot.FastRestore && target.VolumeInitializationRate != nil {
		warnings = append(warnings, binding.Warning{
			Reason: v1alpha1.ReasonRateIgnoresFastRestores,
			Message: fmt.Sprintf("ecsService.volumeInitializationRate has EBS ignore the fast snapshot restores of %s: leave one of "+
				"the two out", snapshot.ID),
		})
	}
	return warnings
}

func unsupported(format string, args ...any) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonUnsupportedTarget, Stalled: true, RetryAfter: deniedRetry, Message: fmt.Sprintf(format, args...),
	}
}
