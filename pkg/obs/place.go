package obs

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

const (
	// NamespaceKey tells devices apart at a collector that many of them send to.
	NamespaceKey = attribute.Key("service.namespace")
	// InstanceKey tells processes of one name in one namespace apart.
	InstanceKey = attribute.Key("service.instance.id")
)

// PlaceVariable is the variable of the environment that OpenTelemetry has for a Place.
const PlaceVariable = "OTEL_RESOURCE_ATTRIBUTES"

// maxPlace bounds each part of a Place, in bytes.
const maxPlace = 128

// Place is where a process runs, in the words of whoever deployed it. It is with everything
// that the process exports.
type Place struct {
	// Namespace is the device, or the part of the cloud, such as lockstep-device-1.
	Namespace string
	// Instance is the process among those of its name there, such as dsreg-0.
	Instance string
}

// ParsePlace reads a Place out of NAME=VALUE with commas between, as the environment has it.
// Other names than the two are left out: what is exported has no label that is not on a list.
// A value has 1 to 128 letters, digits, dots, dashes, slashes and underscores.
func ParsePlace(text string) (p Place, err error) {
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		part := map[attribute.Key]*string{NamespaceKey: &p.Namespace, InstanceKey: &p.Instance}[attribute.Key(strings.TrimSpace(name))]
		if part == nil {
			continue
		}
		if value = strings.TrimSpace(value); !isPlace(value) {
			return Place{}, fmt.Errorf("%s: %s has to be 1 to %d letters, digits, dots, dashes, slashes and underscores", PlaceVariable, strings.TrimSpace(name), maxPlace)
		}
		*part = value
	}
	return p, nil
}

func isPlace(value string) bool {
	strange := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-/_", c)
	}
	return value != "" && len(value) <= maxPlace && !strings.ContainsFunc(value, strange)
}

// of is the resource of a component at the place.
func (p Place) of(service string) *resource.Resource {
	attributes := []attribute.KeyValue{attribute.String("service.name", service)}
	if p.Namespace != "" {
		attributes = append(attributes, NamespaceKey.String(p.Namespace))
	}
	if p.Instance != "" {
		attributes = append(attributes, InstanceKey.String(p.Instance))
	}
	return resource.NewSchemaless(attributes...)
}
