module github.com/larder-dev/larder/hack/karpenter/v1.0

go 1.26.5

// Nothing here is compiled: the module pins whose custom resource definitions the tests load, those of the oldest release
// of Karpenter's v1 API.
require github.com/aws/karpenter-provider-aws v1.0.0
