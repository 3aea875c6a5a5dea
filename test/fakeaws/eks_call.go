package fakeaws

import (
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

var eksAPI = api{protocol: restMessage, service: "eks"}

// eksActions are the modelled calls of EKS. One has a name that ECS uses as well.
var eksActions = []restRoute{
	named("eks:ListClusters", eksAction[eks.ListClustersInput](schemas.ListClusters, schemas.ListClustersRequest, (*Server).listEKSClusters)),
	eksAction[eks.ListNodegroupsInput](schemas.ListNodegroups, schemas.ListNodegroupsRequest, (*Server).listNodegroups),
	eksAction[eks.DescribeNodegroupInput](schemas.DescribeNodegroup, schemas.DescribeNodegroupRequest, (*Server).describeNodegroup),
	eksAction[eks.UpdateNodegroupVersionInput](schemas.UpdateNodegroupVersion, schemas.UpdateNodegroupVersionRequest, (*Server).updateNodegroupVersion),
	eksAction[eks.UpdateNodegroupConfigInput](schemas.UpdateNodegroupConfig, schemas.UpdateNodegroupConfigRequest, (*Server).updateNodegroupConfig),
	eksAction[eks.ListUpdatesInput](schemas.ListUpdates, schemas.ListUpdatesRequest, (*Server).listUpdates),
	eksAction[eks.DescribeUpdateInput](schemas.DescribeUpdate, schemas.DescribeUpdateRequest, (*Server).describeUpdate),
}

func named(name string, route restRoute) restRoute {
	route.name = name
	return route
}

// eksAction models one call of EKS, whose answer is written from the SDK's own type.
func eksAction[In any](operation, input *smithy.Schema, serve func(s *Server, region string, in *In) (smithy.Serializable, error)) restRoute {
	// No member of an answer is outside of the body, which both protocols of JSON write alike.
	call := jsonCall{protocol: awsjson.New11(schemas.AWSWesleyFrontend), operation: operation}
	return restAction(eksAPI, operation, input, func(s *Server, region string, in *In, _ []byte) (answer, error) {
		out, err := serve(s, region, in)
		if err != nil {
			return answer{}, err
		}
		written, err := call.encode(out)
		return answer{header: http.Header{"Content-Type": {"application/json"}}, body: written}, err
	})
}

// eksRefusal is an error of EKS: https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupVersion.html
func eksRefusal(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

func eksInvalidParameter(format string, args ...any) *apiError {
	return eksRefusal(http.StatusBadRequest, "InvalidParameterException", format, args...)
}

func eksInvalidRequest(format string, args ...any) *apiError {
	return eksRefusal(http.StatusBadRequest, "InvalidRequestException", format, args...)
}

func eksNotFound(format string, args ...any) *apiError {
	return eksRefusal(http.StatusNotFound, "ResourceNotFoundException", format, args...)
}
