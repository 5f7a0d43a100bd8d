package main

import (
	"fmt"
	"path/filepath"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// object is one object of an overlay.
type object struct {
	Kind schema.GroupVersionKind
	// YAML is how kustomize wrote it.
	YAML []byte
	// Object is the same, decoded.
	runtime.Object
}

// render builds the overlay in the folder dir, as kubectl kustomize does, and decodes
// every object strictly: a field that Kubernetes does not know is an error here, and not
// one that a server reads over.
func render(dir string) ([]object, error) {
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("overlay %s: %w", filepath.Base(dir), err)
	}
	var all []object
	for _, r := range rendered.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.CurId(), err)
		}
		o, err := decode(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.CurId(), err)
		}
		all = append(all, o)
	}
	return all, nil
}

// decode reads one object and refuses fields that its type does not have, or has twice.
func decode(text []byte) (object, error) {
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	o, kind, err := strict.Decode(text, nil, nil)
	if err != nil {
		return object{}, err
	}
	return object{Kind: *kind, YAML: text, Object: o}, nil
}
