module github.com/larder-dev/larder/hack/karpenter/v1.15

// Karpenter's own, without which the go command does not even download it.
go 1.26.10

// Nothing here is compiled: the module pins whose custom resource definitions the tests load, those of the newest release.
require github.com/aws/karpenter-provider-aws v1.15.1
