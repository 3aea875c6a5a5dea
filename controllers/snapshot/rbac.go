package snapshot

// What the controller may do, and no more. The status marker needs no update: it is written by merge patch. What the
// packages below it need is with them.
//
// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,resourceNames=kube-system,verbs=get
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get,namespace=larder-system
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
