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
// A boolean cannot carry a number, so several inputs are sent, in which the booleans spell theirs bit by bit.
func learn[In any](send func(context.Context, *In) error, members []string) wireNames {
	given := probe{members: members}
	names, bits := wireNames{}, map[string]int{}
	for round := 0; round == 0 || len(given.booleans)>>round > 0; round++ {
		input := new(In)
		given.leaves, given.booleans, given.round = nil, nil, round
		given.fill(reflect.ValueOf(input).Elem(), nil, "")
		var sent recorded
		if err := send(context.Background(), input); !errors.As(err, &sent) {
			panic(fmt.Sprintf("fakeaws: the SDK did not send a %T: %v", input, err))
		}
		for key := range sent.form {
			if key == "Action" || key == "Version" {
				continue
			}
			name, value := listIndex.ReplaceAllString(key, ".N$2"), sent.form.Get(key)
			if bit, err := strconv.ParseBool(value); err == nil {
				bits[name] |= map[bool]int{true: 1 << round}[bit]
				continue
			}
			leaf, err := given.leaf(value)
			if err != nil {
				panic(fmt.Sprintf("fakeaws: the SDK wrote %s=%s of a %T: %v", key, value, input, err))
			}
			names[name] = given.leaves[leaf]
		}
	}
	for name, number := range bits {
		names[name] = given.leaves[given.booleans[number-1]]
	}
	if len(names) != len(given.leaves) {
		panic(fmt.Sprintf("fakeaws: the SDK wrote %d of the %d leaves of a %T", len(names), len(given.leaves), new(In)))
	}
	return names
}

// probe numbers the leaves of an input.
type probe struct {
	// members are the paths of names to fill, with all that is below them; none means everything.
	members []string
	// leaves are the paths to the leaves.
	leaves [][]int
	// booleans are the numbers of the boolean leaves. Each has a number among them too, from 1, and is set to
	// the bit of it that has the round's number.
	booleans []int
	round    int
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
		v.SetBool(len(p.booleans)>>p.round&1 == 1)
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
