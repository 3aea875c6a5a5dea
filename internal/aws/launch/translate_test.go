package launch

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fill sets every field, so that one which a newer SDK adds is seen to be lost.
func fill(of reflect.Value) {
	for i := range of.NumField() {
		field := of.Field(i)
		if !field.CanSet() {
			continue
		}
		switch target := field.Addr().Interface().(type) {
		case **string:
			*target = aws.String("text of " + of.Type().Field(i).Name)
		case **int32:
			*target = aws.Int32(int32(i + 1))
		case **bool:
			*target = aws.Bool(true)
		case *types.VolumeType:
			*target = types.VolumeTypeIo2
		default:
			if field.Kind() != reflect.Pointer || field.Type().Elem().Kind() != reflect.Struct {
				panic("a field of the type " + field.Type().String())
			}
			field.Set(reflect.New(field.Type().Elem()))
			fill(field.Elem())
		}
	}
}

func TestNoFieldOfADeviceIsLost(t *testing.T) {
	var read types.LaunchTemplateBlockDeviceMapping
	var want types.LaunchTemplateBlockDeviceMappingRequest
	fill(reflect.ValueOf(&read).Elem())
	fill(reflect.ValueOf(&want).Elem())
	want.NoDevice = aws.String("") // it has no other value
	unexported := cmpopts.IgnoreUnexported(want, *want.Ebs)
	if diff := cmp.Diff(want, requestOf(deviceOf(read)), unexported); diff != "" {
		t.Errorf("sent again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(types.LaunchTemplateBlockDeviceMappingRequest{}, requestOf(deviceOf(types.LaunchTemplateBlockDeviceMapping{})), unexported); diff != "" {
		t.Errorf("what was not said is said (-want +got):\n%s", diff)
	}
}
