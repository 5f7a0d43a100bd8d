// Package sbom lists what is in an image as CycloneDX: for a program of Go what its build
// information says, for programs of the distribution the packages that they come from.
// There is no time and no random number in a list, so that it is the same for the same
// image.
// What never may live here: building an image. The command archives calls it.
package sbom

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// OfGo lists the modules of a program, and the Go that compiled it.
func OfGo(image string, program []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("build information of %s: %w", image, err)
	}
	parts := []cyclonedx.Component{{
		Type: cyclonedx.ComponentTypeLibrary, BOMRef: "std", Name: "std", Version: strings.TrimPrefix(info.GoVersion, "go"),
		PackageURL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"), Description: "the Go standard library and runtime",
	}}
	for _, m := range info.Deps {
		parts = append(parts, module(m))
	}
	return encode(image, info.Path, parts)
}

func module(m *debug.Module) cyclonedx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	purl := "pkg:golang/" + m.Path + "@" + escape(m.Version)
	return cyclonedx.Component{
		Type: cyclonedx.ComponentTypeLibrary, BOMRef: purl, Name: m.Path, Version: m.Version, PackageURL: purl,
		Properties: &[]cyclonedx.Property{{Name: "lockstep:go.sum", Value: m.Sum}},
	}
}

// escape is the form of a version in a package URL (PURL specification, "Character
// encoding"): a plus is escaped, a colon is not.
func escape(version string) string {
	return strings.ReplaceAll(url.QueryEscape(version), "%3A", ":")
}

// Package is one of the distribution.
type Package struct{ Name, Version, Arch string }

// OfPackages lists packages of Debian.
func OfPackages(image string, all []Package) ([]byte, error) {
	parts := []cyclonedx.Component{}
	for _, p := range all {
		purl := "pkg:deb/debian/" + p.Name + "@" + escape(p.Version) + "?arch=" + p.Arch
		parts = append(parts, cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, BOMRef: purl, Name: p.Name, Version: p.Version, PackageURL: purl})
	}
	return encode(image, "", parts)
}

func encode(image, program string, parts []cyclonedx.Component) ([]byte, error) {
	b := cyclonedx.NewBOM()
	root := &cyclonedx.Component{Type: cyclonedx.ComponentTypeContainer, BOMRef: image, Name: image, Description: program}
	b.Metadata = &cyclonedx.Metadata{Component: root}
	refs := []string{}
	for _, p := range parts {
		refs = append(refs, p.BOMRef)
	}
	b.Components, b.Dependencies = &parts, &[]cyclonedx.Dependency{{Ref: image, Dependencies: &refs}}
	var out bytes.Buffer
	e := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON)
	e.SetPretty(true)
	err := e.EncodeVersion(b, cyclonedx.SpecVersion1_6)
	return out.Bytes(), err
}
