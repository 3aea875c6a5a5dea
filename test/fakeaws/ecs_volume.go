package fakeaws

import (
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// tagText is what ECS takes in keys and values of tags.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
var tagText = regexp.MustCompile(`^[\p{L}\p{N} +\-=._:/@]*$`)

// ecsVolumeRule is what ECS asks of a volume of one type.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceManagedEBSVolumeConfiguration.html
type ecsVolumeRule struct {
	leastGiB, mostGiB   int32
	leastIOPS, mostIOPS int32
	needsIOPS           bool
}

var ecsVolumeRules = map[string]ecsVolumeRule{
	"gp2":      {leastGiB: 1, mostGiB: 16384},
	"gp3":      {leastGiB: 1, mostGiB: 16384, leastIOPS: 3000, mostIOPS: 16000},
	"io1":      {leastGiB: 4, mostGiB: 16384, leastIOPS: 100, mostIOPS: 64000, needsIOPS: true},
	"io2":      {leastGiB: 4, mostGiB: 16384, leastIOPS: 100, mostIOPS: 256000, needsIOPS: true},
	"st1":      {leastGiB: 125, mostGiB: 16384},
	"sc1":      {leastGiB: 125, mostGiB: 16384},
	"standard": {leastGiB: 1, mostGiB: 1024},
}

const maxECSThroughput = 1000

// checkECSVolumes refuses configurations that do not fit a service and its task definition.
func checkECSVolumes(service *ecsService, definition *types.TaskDefinition, volumes []types.ServiceVolumeConfiguration) error {
	switch {
	case len(volumes) == 0:
		return nil
	case service.scheduling == types.SchedulingStrategyDaemon:
		return invalidECS("Volume configurations are not supported for the DAEMON scheduling strategy.")
	case service.controller != types.DeploymentControllerTypeEcs:
		return invalidECS("Volume configurations are not supported for the deployment controller %s.", service.controller)
	case len(volumes) > 1:
		return invalidECS("Only one volume configuration is allowed.")
	}
	name := aws.ToString(volumes[0].Name)
	if !slices.ContainsFunc(definition.Volumes, func(volume types.Volume) bool {
		return aws.ToString(volume.Name) == name && aws.ToBool(volume.ConfiguredAtLaunch)
	}) {
		return invalidECS("The volume name '%s' does not match a volume that is configured at launch in the task definition.", name)
	}
	if volumes[0].ManagedEBSVolume == nil {
		return invalidECS("managedEBSVolume must be specified for volume '%s'.", name)
	}
	return checkManagedVolume(service, volumes[0].ManagedEBSVolume)
}

func checkManagedVolume(service *ecsService, volume *types.ServiceManagedEBSVolumeConfiguration) error {
	kind := aws.ToString(volume.VolumeType)
	rule, known := ecsVolumeRules[kind]
	if kind == "" {
		rule, known = ecsVolumeRules["gp3"], true
	}
	size, iops := aws.ToInt32(volume.SizeInGiB), aws.ToInt32(volume.Iops)
	switch {
	case !known:
		return invalidECS("Unknown volume type '%s'.", kind)
	case aws.ToString(volume.RoleArn) == "":
		return invalidECS("roleArn must be specified.")
	case volume.SizeInGiB == nil && volume.SnapshotId == nil:
		return invalidECS("Either sizeInGiB or snapshotId must be specified.")
	case volume.SizeInGiB != nil && (size < rule.leastGiB || size > rule.mostGiB):
		return invalidECS("A volume of type %s cannot have %d GiB.", kind, size)
	case volume.Iops != nil && (iops < rule.leastIOPS || iops > rule.mostIOPS), rule.needsIOPS && volume.Iops == nil:
		return invalidECS("A volume of type %s cannot have %d IOPS.", kind, iops)
	case volume.Throughput != nil && (kind != "gp3" || *volume.Throughput > maxECSThroughput):
		return invalidECS("A volume of type %s cannot have a throughput of %d MiB/s.", kind, *volume.Throughput)
	case volume.VolumeInitializationRate != nil && volume.SnapshotId == nil:
		return invalidECS("volumeInitializationRate can be specified only with a snapshotId.")
	case volume.SnapshotId != nil && !snapshotID.MatchString(*volume.SnapshotId):
		return invalidECS("Invalid snapshot id: '%s'.", *volume.SnapshotId)
	case kind == "standard" && service.launchType == types.LaunchTypeFargate:
		return invalidECS("The volume type standard is not supported on Fargate.")
	case volume.FilesystemType != "" && !slices.Contains(volume.FilesystemType.Values(), volume.FilesystemType):
		return invalidECS("Unknown filesystem type '%s'.", volume.FilesystemType)
	}
	return nil
}

// whyTasksFail says why tasks cannot start with a revision's volumes; empty when they can. It is called with the lock
// held.
func (s *Server) whyTasksFail(region string, revision *ecsRevision) string {
	for _, configuration := range revision.volumes {
		volume := configuration.ManagedEBSVolume
		id := aws.ToString(volume.SnapshotId)
		if id == "" {
			continue
		}
		found, ok := s.snapshots[id]
		if !ok || found.region != region {
			return "The snapshot '" + id + "' does not exist."
		}
		if state, _ := s.stateOf(found); state != stateCompleted {
			return "The snapshot '" + id + "' is not completed."
		}
		has := "ext4"
		if other := s.ecs.filesystems[id]; other != "" {
			has = other
		}
		wanted := string(volume.FilesystemType)
		if wanted == "" {
			wanted = "xfs"
		}
		if has != wanted {
			return "Failed to mount the volume of snapshot '" + id + "' as " + wanted + "."
		}
	}
	return ""
}
