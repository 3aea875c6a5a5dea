package ec2nodeclass

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/amifamily"
)

func familyOf(class *unstructured.Unstructured) string { return amifamily.Of(class) }

func rootDevice(family string) string { return amifamily.RootDevice(family) }

func defaultDevices(family string) []any { return amifamily.DefaultDevices(family) }
