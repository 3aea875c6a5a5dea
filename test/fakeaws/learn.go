package fakeaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// learn asks the SDK for the wire names of an input's leaves: it sends an input whose every leaf has a value of
// its own, and looks for those values in the form that the SDK wrote. So the double cannot drift from the SDK.
func learn[In any](send func(context.Context, *In) error, members []string) wireNames {
	input := new(In)
	root := reflect.ValueOf(input).Elem()
	given := probe{members: members}
	given.fill(root, nil, "")
	names := wireNames{}
	for key, value := range written(send, input) {
		if value == "false" {
			continue
		}
		leaf, err := given.leaf(value)
		if err != nil {
			panic(fmt.Sprintf("fakeaws: the SDK wrote %s=%s of a %T: %v", key, value, input, err))
		}
		names[key] = given.leaves[leaf]
	}
	for _, leaf := range given.booleans {
		setBoolean(root, given.leaves[leaf], true)
		for key, value := range written(send, input) {
			if value == "true" {
				names[key] = given.leaves[leaf]
			}
		}
		setBoolean(root, given.leaves[leaf], false)
	}
	if len(names) != len(given.leaves) {
		panic(fmt.Sprintf("fakeaws: the SDK wrote %d of the %d leaves of a %T", len(names), len(given.leaves), input))
	}
	return names
}

// written returns what the SDK writes of an input, by the names of the parameters with N for their indexes.
func written[In any](send func(context.Context, *In) error, input *In) map[string]string {
	var sent recorded
	if err := send(context.Background(), input); !errors.As(err, &sent) {
		panic(fmt.Sprintf("fakeaws: the SDK did not send a %T: %v", input, err))
	}
	parameters := map[string]string{}
	for key := range sent.form {
		if key != "Action" && key != "Version" {
			parameters[listIndex.ReplaceAllString(key, ".N$2")] = sent.form.Get(key)
		}
	}
	return parameters
}

func setBoolean(root reflect.Value, path []int, value bool) {
	// The path was walked before, and a boolean takes every boolean's text.
	if err := set(root, path, make([]int, len(path)), strconv.FormatBool(value)); err != nil {
		panic(fmt.Sprintf("fakeaws: setting a leaf: %v", err))
	}
}

// probe numbers the leaves of an input.
type probe struct {
	// members are the paths of names to fill, with all that is below them; none means everything.
	members []string
	// leaves are the paths to the leaves.
	leaves [][]int
	// booleans are the numbers of the leaves whose value cannot carry one. They are told apart one after another.
	booleans []int
}

const probePrefix = "1000"

// fill gives every leaf below v its number as a value, and every list one element.
func (p *probe) fill(v reflect.Value, path []int, name string) {
	value := probePrefix + strconv.Itoa(len(p.leaves))
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			below := strings.TrimPrefix(name+"."+field.Name, ".")
			if field.IsExported() && p.wants(below) {
				p.fill(v.Field(i), append(slices.Clone(path), i), below)
			}
		}
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		p.fill(v.Index(0), append(slices.Clone(path), element), name)
		return
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.fill(v.Elem(), path, name)
		return
	case reflect.String:
		v.SetString(value)
	case reflect.Bool:
		p.booleans = append(p.booleans, len(p.leaves))
	case reflect.Int32, reflect.Int64:
		number, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			panic(fmt.Sprintf("fakeaws: numbering a leaf: %v", err))
		}
		v.SetInt(number)
	default:
		panic(fmt.Sprintf("fakeaws: no value for a leaf of type %s", v.Type()))
	}
	p.leaves = append(p.leaves, path)
}

// wants tells whether a member is among the wanted ones, or above or below one.
func (p *probe) wants(name string) bool {
	return len(p.members) == 0 || slices.ContainsFunc(p.members, func(member string) bool {
		return strings.HasPrefix(name+".", member+".") || strings.HasPrefix(member+".", name+".")
	})
}

// leaf returns the number of the leaf that has this value.
func (p *probe) leaf(value string) (int, error) {
	digits, ok := strings.CutPrefix(value, probePrefix)
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || number >= len(p.leaves) {
		return 0, errors.New("no leaf has this value")
	}
	return number, nil
}

var probeCredentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "probe", SecretAccessKey: "probe"}, nil
})

// recorder is an HTTP client that sends nothing and returns what it should have sent as an error.
type recorder struct{}

type recorded struct{ form url.Values }

func (recorded) Error() string { return "recorded, not sent" }

func (recorder) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	return nil, recorded{form}
}
