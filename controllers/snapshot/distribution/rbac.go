package distribution

// ConfigMaps are published in the operator's namespace only, and read there one by one, so they need neither list nor
// watch. The annotation that names the places of publication is written by the rule for imagecachesnapshots.
//
// +kubebuilder:rbac:groups="",namespace=larder-system,resources=configmaps,verbs=get;create;patch;delete
