package preflight

import (
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2"
	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// nodeConfigType is the media type of a part that nodeadm reads.
const nodeConfigType = "application/node.eks.aws"

// nodeConfig is what matters here of nodeadm's NodeConfig:
// https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/
type nodeConfig struct {
	Spec struct {
		Containerd struct {
			Config string `json:"config"`
		} `json:"containerd"`
		Instance struct {
			LocalStorage struct {
				Strategy       string   `json:"strategy"`
				DisabledMounts []string `json:"disabledMounts"`
			} `json:"localStorage"`
			Storage struct {
				Volumes []struct {
					MountTargets []string `json:"mountTargets"`
				} `json:"volumes"`
			} `json:"storage"`
		} `json:"instance"`
		FeatureGates map[string]bool `json:"featureGates"`
	} `json:"spec"`
}

// merge takes from a later NodeConfig what it says, as nodeadm does with those of all parts.
func (c *nodeConfig) merge(later nodeConfig) {
	instance, from := &c.Spec.Instance, later.Spec.Instance
	if from.LocalStorage.Strategy != "" {
		instance.LocalStorage.Strategy = from.LocalStorage.Strategy
	}
	if len(from.LocalStorage.DisabledMounts) > 0 {
		instance.LocalStorage.DisabledMounts = from.LocalStorage.DisabledMounts
	}
	if len(from.Storage.Volumes) > 0 {
		instance.Storage.Volumes = from.Storage.Volumes
	}
	if later.Spec.Containerd.Config != "" {
		c.Spec.Containerd.Config = later.Spec.Containerd.Config
	}
	if c.Spec.FeatureGates == nil {
		c.Spec.FeatureGates = map[string]bool{}
	}
	maps.Copy(c.Spec.FeatureGates, later.Spec.FeatureGates)
}

// checkNodeadm reads the user data of AL2023.
func (i *inspection) checkNodeadm() {
	parts, readable := splitUserData(i.UserData, isNodeConfig)
	var config nodeConfig
	for _, part := range parts {
		if part.mediaType != nodeConfigType {
			continue
		}
		var one nodeConfig
		if yaml.Unmarshal([]byte(part.text), &one) != nil {
			readable = false
		}
		config.merge(one)
	}
	// Karpenter puts the policy into a NodeConfig of its own behind those of the user data.
	if i.RAID0 {
		config.Spec.Instance.LocalStorage.Strategy = raid0
	}
	i.checkLocalStorage(&config)
	i.checkStorageVolumes(&config)
	i.checkNodeadmSnapshotter(&config)
	i.checkMounted(parts, readable)
	if !readable {
		i.warnUnread("a script, a NodeConfig or a MIME archive of them", "binds containerd's directory to the instance store or "+
			"selects another snapshotter than overlayfs, and that it mounts the device as docs/node-user-data.md says")
	}
}

// isNodeConfig tells whether user data that is no archive is a NodeConfig: Karpenter takes all that is a YAML object for one,
// and everything else for a script.
func isNodeConfig(userData string) bool {
	return yaml.Unmarshal([]byte(userData), &map[string]any{}) == nil
}

// checkLocalStorage finds instance stores that nodeadm makes one disk of and mounts over containerd's directory.
func (i *inspection) checkLocalStorage(config *nodeConfig) {
	storage := config.Spec.Instance.LocalStorage
	if storage.Strategy != raid0 && storage.Strategy != "RAID10" || slices.Contains(storage.DisabledMounts, "Containerd") {
		return
	}
	cause := "the NodeConfig in " + i.Words.UserData
	if i.Words.InstanceStorePolicy != "" {
		cause = i.Words.InstanceStorePolicy + " or " + cause
	}
	i.block(v1alpha1.ReasonInstanceStoreHides, "nodeadm gives containerd's directory to the instance store on the nodes of "+
		"%s, by %s, and the images on %s are never seen: add a NodeConfig to %s whose "+
		"spec.instance.localStorage.disabledMounts is [Containerd]", i.Words.Target, cause, i.Device, i.Words.UserData)
}

// checkStorageVolumes finds volumes that nodeadm mounts over containerd's directory. Before that it copies what the AMI has
// there to the volume, over containerd's databases: https://github.com/awslabs/amazon-eks-ami/pull/2759
func (i *inspection) checkStorageVolumes(config *nodeConfig) {
	for _, volume := range config.Spec.Instance.Storage.Volumes {
		if slices.ContainsFunc(volume.MountTargets, hidesContainerd) {
			i.block(v1alpha1.ReasonInstanceStoreHides, "spec.instance.storage.volumes of the NodeConfig in %s of "+
				"%s mounts a volume over %s and copies the AMI's own images over those that are there: take it out, and mount %s with "+
				"the script of docs/node-user-data.md", i.Words.UserData, i.Words.Target, containerdRoot, i.Device)
		}
	}
}

func (i *inspection) checkNodeadmSnapshotter(config *nodeConfig) {
	if config.Spec.FeatureGates["FastImagePull"] {
		i.blockSnapshotter("has a NodeConfig with the feature gate FastImagePull, which selects the snapshotter soci",
			"remove that feature gate")
	}
	var containerd map[string]any
	if toml.Unmarshal([]byte(config.Spec.Containerd.Config), &containerd) == nil && setsSnapshotter(containerd) {
		i.blockSnapshotter("has a NodeConfig whose spec.containerd.config sets a snapshotter, and not to overlayfs", "remove that setting")
	}
}

// setsSnapshotter looks into all tables: every version of containerd's configuration has its plugins elsewhere.
func setsSnapshotter(table map[string]any) bool {
	for key, value := range table {
		switch value := value.(type) {
		case map[string]any:
			if setsSnapshotter(value) {
				return true
			}
		case string:
			if key == "snapshotter" && value != "" && value != overlayfs {
				return true
			}
		}
	}
	return false
}
