package fakeaws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"

	ecrschemas "github.com/aws/aws-sdk-go-v2/service/ecr/schemas"
	publicschemas "github.com/aws/aws-sdk-go-v2/service/ecrpublic/schemas"
	kmsschemas "github.com/aws/aws-sdk-go-v2/service/kms/schemas"
	ssmschemas "github.com/aws/aws-sdk-go-v2/service/ssm/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// targetHeader names a call of a service that speaks awsJson 1.1.
const targetHeader = "X-Amz-Target"

// jsonAPI is a service that speaks awsJson 1.1, with the SDK's schema of it.
type jsonAPI struct {
	service string
	schema  *smithy.ServiceSchema
}

// jsonActions are the modelled calls by the value of targetHeader.
var jsonActions = func() map[string]action {
	actions := map[string]action{}
	add := func(target string, modelled action) { actions[target] = modelled }
	store := jsonAPI{"ssm", ssmschemas.AmazonSSM}
	add(jsonAction(store, ssmschemas.GetParameter, (*Server).getParameter, "Name", "WithDecryption"))
	add(jsonAction(store, ssmschemas.PutParameter, (*Server).putParameter, "Name", "Value", "Description", "Type", "Overwrite", "Tags"))
	add(jsonAction(store, ssmschemas.DeleteParameter, (*Server).deleteParameter, "Name"))
	add(jsonAction(store, ssmschemas.AddTagsToResource, (*Server).addTagsToResource, "ResourceType", "ResourceId", "Tags"))
	add(jsonAction(store, ssmschemas.ListTagsForResource, (*Server).listTagsForResource, "ResourceType", "ResourceId"))
	keys := jsonAPI{"kms", kmsschemas.TrentService}
	add(jsonAction(keys, kmsschemas.DescribeKey, (*Server).describeKey, "KeyId"))
	add(jsonAction(keys, kmsschemas.ListGrants, (*Server).listGrants, "KeyId", "Limit", "Marker"))
	add(jsonAction(jsonAPI{"ecr", ecrschemas.AmazonEC2ContainerRegistry_V20150921}, ecrschemas.GetAuthorizationToken, (*Server).getAuthorizationToken))
	target, public := jsonAction(jsonAPI{"ecr-public", publicschemas.SpencerFrontendService}, publicschemas.GetAuthorizationToken, (*Server).getPublicAuthorizationToken)
	public.name = publicTokenAction
	add(target, public)
	ecsActions(add)
	return actions
}()

func identifyJSON(r *http.Request) (action, error) {
	found, ok := jsonActions[r.Header.Get(targetHeader)]
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.URL.RawQuery != "" || !ok {
		return action{}, unmodelled("%s %s with %s %q", r.Method, r.URL, targetHeader, r.Header.Get(targetHeader))
	}
	return found, nil
}

// input is a pointer to an SDK's input.
type input[In any] interface {
	*In
	smithy.Serializable
}

// jsonAction models the members of one call; it returns the action and the target that asks for it.
func jsonAction[P input[In], In any](
	of jsonAPI, operation *smithy.Schema,
	serve func(s *Server, region string, in P) (smithy.Serializable, error),
	members ...string,
) (string, action) {
	call := jsonCall{protocol: awsjson.New11(of.schema), operation: operation, members: members}
	name := operation.ID().Name
	return of.schema.Schema.ID().Name + "." + name, action{
		api:  api{protocol: awsJSON, service: of.service},
		name: name,
		serve: func(s *Server, r *http.Request, body []byte) (answer, error) {
			in := P(new(In))
			if err := call.decode(body, in); err != nil {
				return answer{}, err
			}
			out, err := serve(s, regionOf(r), in)
			if err != nil {
				return answer{}, err
			}
			written, err := call.encode(out)
			if err != nil {
				return answer{}, err
			}
			return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, body: written}, nil
		},
	}
}

// jsonCall reads and writes the shapes of one call.
type jsonCall struct {
	protocol  *awsjson.Protocol
	operation *smithy.Schema
	members   []string
}

// decode fills the input. It holds for complete when the SDK writes the same body of it again, which it does not
// where the body has a member that the input lacks, or one that is spelt or typed otherwise.
func (c jsonCall) decode(body []byte, into smithy.Serializable) error {
	name := c.operation.ID().Name
	var given map[string]any
	if err := json.Unmarshal(body, &given); err != nil {
		return unmodelled("%s: the body is no JSON object: %v", name, err)
	}
	for member := range given {
		if !slices.Contains(c.members, member) {
			return unmodelled("%s: body member %s", name, member)
		}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return unmodelled("%s: %v", name, err)
	}
	again, err := c.encode(into)
	if err != nil {
		return err
	}
	var understood map[string]any
	if err := json.Unmarshal(again, &understood); err != nil {
		return fmt.Errorf("reading the SDK's own body of %s: %w", name, err)
	}
	if !reflect.DeepEqual(given, understood) {
		return unmodelled("%s: of the body %s only %s was understood", name, bytes.TrimSpace(body), again)
	}
	return nil
}

// encode writes a shape as the SDK writes an input: outputs follow the same rules.
func (c jsonCall) encode(shape smithy.Serializable) ([]byte, error) {
	request, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if !ok {
		return nil, fmt.Errorf("encoding a shape of %s: the SDK makes other requests than it did", c.operation.ID().Name)
	}
	// The protocol asks of the second schema only whether there is one.
	schema := smithy.NewOperationSchema(c.operation, c.operation, nil)
	if err := c.protocol.SerializeRequest(context.Background(), schema, shape, request); err != nil {
		return nil, fmt.Errorf("encoding a shape of %s: %w", c.operation.ID().Name, err)
	}
	return io.ReadAll(request.GetStream())
}
