package snapshot

// What the controller may do, and no more. The status marker needs no update: it is written by merge patch. Holders
// of a snapshot are listed straight from the API server, only when one is deleted, so they need no watch.
//
// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots/status,verbs=patch
// +kubebuilder:rbac:groups=larder.dev,resources=nodeclassbindings,verbs=list
// +kubebuilder:rbac:groups=karpenter.k8s.aws,resources=ec2nodeclasses,verbs=list
// +kubebuilder:rbac:groups="",resources=namespaces,resourceNames=kube-system,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get,namespace=larder-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
