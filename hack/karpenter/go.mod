module github.com/larder-dev/larder/hack/karpenter

go 1.26.5

// Nothing here is compiled: the module pins whose custom resource definitions the tests load.
require github.com/aws/karpenter-provider-aws v1.14.0
