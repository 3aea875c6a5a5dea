package fakeaws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/traits"
)

var ebsAPI = api{protocol: restJSON, service: "ebs"}

// restActions are all calls of the EBS direct API, and those that are modelled of other services.
var restActions = slices.Concat(ebsActions, eksActions)

var ebsActions = []restRoute{
	restAction[ebs.StartSnapshotInput](ebsAPI, schemas.StartSnapshot, schemas.StartSnapshotRequest, (*Server).startSnapshot),
	restAction[ebs.PutSnapshotBlockInput](ebsAPI, schemas.PutSnapshotBlock, schemas.PutSnapshotBlockRequest, (*Server).putSnapshotBlock),
	restAction[ebs.CompleteSnapshotInput](ebsAPI, schemas.CompleteSnapshot, schemas.CompleteSnapshotRequest, (*Server).completeSnapshot),
	restAction[ebs.ListSnapshotBlocksInput](ebsAPI, schemas.ListSnapshotBlocks, schemas.ListSnapshotBlocksRequest, (*Server).listSnapshotBlocks),
	restAction[ebs.ListChangedBlocksInput](ebsAPI, schemas.ListChangedBlocks, schemas.ListChangedBlocksRequest, (*Server).listChangedBlocks),
	restAction[ebs.GetSnapshotBlockInput](ebsAPI, schemas.GetSnapshotBlock, schemas.GetSnapshotBlockRequest, (*Server).getSnapshotBlock),
}

type restRoute struct {
	action
	method string
	// path has the segments of the URI, labels in braces.
	path []string
}

func identifyREST(r *http.Request) (action, error) {
	for _, route := range slices.Concat(restActions, batchActions) {
		if _, ok := route.labels(r); ok {
			return route.action, nil
		}
	}
	return action{}, unmodelled("%s %s", r.Method, r.URL.Path)
}

// labels returns the values of the labels in the request's path, if it is for this route.
func (route restRoute) labels(r *http.Request) (map[string]string, bool) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	if r.Method != route.method || len(segments) != len(route.path) {
		return nil, false
	}
	labels := map[string]string{}
	for i, want := range route.path {
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		if name, ok := strings.CutPrefix(want, "{"); ok {
			labels[strings.TrimSuffix(name, "}")] = value
		} else if value != want {
			return nil, false
		}
	}
	return labels, true
}

// restAction models one call, with the SDK's schema saying where its parameters are.
func restAction[In any](of api, operation, input *smithy.Schema, serve func(s *Server, region string, in *In, body []byte) (answer, error)) restRoute {
	binding, ok := smithy.SchemaTrait[*traits.HTTP](operation)
	if !ok {
		panic("fakeaws: the SDK has no HTTP binding of " + operation.ID().String())
	}
	route := restRoute{method: binding.Method, path: strings.Split(binding.URI, "/")}
	route.action = action{api: of, name: operation.ID().Name, serve: func(s *Server, r *http.Request, body []byte) (answer, error) {
		decoded := new(In)
		decoding := restDecoder{request: r, body: body, input: reflect.ValueOf(decoded).Elem()}
		decoding.labels, _ = route.labels(r)
		if err := decoding.decode(input); err != nil {
			return answer{}, fmt.Errorf("%s: %w", route.name, err)
		}
		result, err := serve(s, regionOf(r), decoded, body)
		if result.status == 0 {
			result.status = binding.Code
		}
		return result, err
	}}
	return route
}

// restDecoder fills an input from where the schema says that its members are, and refuses all else.
type restDecoder struct {
	request *http.Request
	body    []byte
	labels  map[string]string
	input   reflect.Value
}

// transportHeaders are the fields with Amazon's prefix that belong to no call in particular.
var transportHeaders = []string{"X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-User-Agent"}

func (d *restDecoder) decode(schema *smithy.Schema) error {
	headers := slices.Clone(transportHeaders)
	query := d.request.URL.Query()
	inBody := map[string]bool{}
	payload := false
	for name, member := range schema.Members() {
		var err error
		if _, ok := smithy.SchemaTrait[*traits.HTTPLabel](member); ok {
			err = d.set(name, d.labels[name])
		} else if header, ok := smithy.SchemaTrait[*traits.HTTPHeader](member); ok {
			headers = append(headers, http.CanonicalHeaderKey(header.Name))
			if values := d.request.Header.Values(header.Name); len(values) > 0 {
				err = d.set(name, strings.Join(values, ","))
			}
		} else if parameter, ok := smithy.SchemaTrait[*traits.HTTPQuery](member); ok {
			if values := query[parameter.Name]; len(values) > 0 {
				err = d.set(name, strings.Join(values, ","))
			}
			query.Del(parameter.Name)
		} else if _, ok := smithy.SchemaTrait[*traits.HTTPPayload](member); ok {
			payload = true
		} else {
			inBody[name] = true
		}
		if err != nil {
			return err
		}
	}
	for name := range query {
		return unmodelled("query parameter %s", name)
	}
	for name := range d.request.Header {
		if strings.HasPrefix(name, "X-Amz-") && !slices.Contains(headers, name) {
			return unmodelled("header field %s", name)
		}
	}
	if payload || len(d.body) == 0 {
		return nil
	}
	return d.decodeBody(inBody)
}

func (d *restDecoder) decodeBody(members map[string]bool) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(d.body, &fields); err != nil {
		return validation("INVALID_PARAMETER_VALUE", "the body is no JSON object: %v", err)
	}
	for name, raw := range fields {
		if !members[name] {
			return unmodelled("body member %s", name)
		}
		strict := json.NewDecoder(bytes.NewReader(raw))
		strict.DisallowUnknownFields()
		if err := strict.Decode(d.field(name).Addr().Interface()); err != nil {
			return unmodelled("body member %s: %v", name, err)
		}
	}
	return nil
}

// set sets a member outside of the body; its type decides how the text is read.
func (d *restDecoder) set(name, text string) error {
	field := d.field(name)
	kind := field.Type()
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	encoded := []byte(text)
	if kind.Kind() == reflect.String {
		// A string always encodes.
		encoded, _ = json.Marshal(text)
	}
	if err := json.Unmarshal(encoded, field.Addr().Interface()); err != nil {
		return validation("INVALID_PARAMETER_VALUE", "%s %q is no valid %s", name, text, kind)
	}
	return nil
}

// field returns the input's field for a member, whose name need not begin as Go's does.
func (d *restDecoder) field(name string) reflect.Value {
	return d.input.FieldByName(strings.ToUpper(name[:1]) + name[1:])
}

func jsonAnswer(fields map[string]any) (answer, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{}, fmt.Errorf("encoding an answer: %w", err)
	}
	return answer{header: http.Header{"Content-Type": {"application/json"}}, body: body}, nil
}
