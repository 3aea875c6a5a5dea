package fakeaws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/batch"
)

var batchAPI = api{protocol: restJSON, service: "batch"}

// batchResources are the modelled members of computeResources when an environment is made. Those of an update are fewer.
var (
	batchResources = []string{
		"type", "allocationStrategy", "minvCpus", "maxvCpus", "desiredvCpus", "instanceTypes", "subnets", "securityGroupIds",
		"instanceRole", "ec2Configuration", "launchTemplate",
	}
	batchUpdates = []string{"minvCpus", "maxvCpus", "desiredvCpus", "launchTemplate"}
)

// batchActions are the modelled calls of AWS Batch.
var batchActions = []restRoute{
	batchAction("CreateComputeEnvironment", (*batch.Client).CreateComputeEnvironment, (*Server).createComputeEnvironment,
		batchResources, "computeEnvironmentName", "type", "state", "serviceRole", "computeResources", "eksConfiguration"),
	batchAction("DescribeComputeEnvironments", (*batch.Client).DescribeComputeEnvironments, (*Server).describeComputeEnvironments,
		nil, "computeEnvironments", "maxResults", "nextToken"),
	batchAction("UpdateComputeEnvironment", (*batch.Client).UpdateComputeEnvironment, (*Server).updateComputeEnvironment,
		batchUpdates, "computeEnvironment", "state", "computeResources"),
	batchAction("DeleteComputeEnvironment", (*batch.Client).DeleteComputeEnvironment, (*Server).deleteComputeEnvironment,
		nil, "computeEnvironment"),
}

// batchAction models the members of one call, those of its computeResources included.
func batchAction[In, Out any](
	name string,
	send func(*batch.Client, context.Context, *In, ...func(*batch.Options)) (*Out, error),
	serve func(s *Server, region string, in *In) (*Out, error),
	resources []string, members ...string,
) restRoute {
	call := batchCall{name: name, resources: resources, members: members}
	route := restRoute{method: http.MethodPost, path: []string{"", "v1", strings.ToLower(name)}}
	route.action = action{api: batchAPI, name: name, serve: func(s *Server, r *http.Request, body []byte) (answer, error) {
		in := new(In)
		if err := call.decode(body, in, func(client *batch.Client) error {
			_, err := send(client, r.Context(), in)
			return err
		}); err != nil {
			return answer{}, err
		}
		out, err := serve(s, regionOf(r), in)
		if err != nil {
			return answer{}, err
		}
		fields, _ := lowerCamel(reflect.ValueOf(out)).(map[string]any)
		result, err := jsonAnswer(fields)
		result.status = http.StatusOK
		return result, err
	}}
	return route
}

type batchCall struct {
	name               string
	resources, members []string
}

// decode fills the input. It holds for complete when the SDK writes the same body of it again. The SDK has no schema of
// this service, so it is made to send what was understood to nobody.
func (c batchCall) decode(body []byte, into any, send func(*batch.Client) error) error {
	var given map[string]any
	if err := json.Unmarshal(body, &given); err != nil {
		return unmodelled("%s: the body is no JSON object: %v", c.name, err)
	}
	for member := range given {
		if !slices.Contains(c.members, member) {
			return unmodelled("%s: body member %s", c.name, member)
		}
	}
	resources, _ := given["computeResources"].(map[string]any)
	for member := range resources {
		if !slices.Contains(c.resources, member) {
			return unmodelled("%s: body member computeResources.%s", c.name, member)
		}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return unmodelled("%s: %v", c.name, err)
	}
	var again unsent
	err := send(batch.New(batch.Options{
		Region: "us-west-2", Credentials: probeCredentials, HTTPClient: mute{}, Retryer: aws.NopRetryer{},
	}))
	if !errors.As(err, &again) {
		return unmodelled("%s: the SDK would not send it: %v", c.name, err)
	}
	var understood map[string]any
	if err := json.Unmarshal(again.body, &understood); err != nil {
		return fmt.Errorf("reading the SDK's own body of %s: %w", c.name, err)
	}
	if !reflect.DeepEqual(given, understood) {
		return unmodelled("%s: of the body %s only %s was understood", c.name, bytes.TrimSpace(body), again.body)
	}
	return nil
}

// mute is an HTTP client that sends nothing and returns the body that it should have sent as an error.
type mute struct{}

type unsent struct{ body []byte }

func (unsent) Error() string { return "recorded, not sent" }

func (mute) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return nil, unsent{body}
}

// lowerCamel returns what JSON is to be written of the SDK's type: members as the service spells them, without those that
// are not set.
func lowerCamel(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		return lowerCamel(v.Elem())
	case reflect.Struct:
		fields := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || v.Field(i).IsZero() || field.Name == "ResultMetadata" {
				continue
			}
			first, size := utf8.DecodeRuneInString(field.Name)
			fields[string(unicode.ToLower(first))+field.Name[size:]] = lowerCamel(v.Field(i))
		}
		return fields
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range v.Len() {
			list[i] = lowerCamel(v.Index(i))
		}
		return list
	default:
		return v.Interface()
	}
}
