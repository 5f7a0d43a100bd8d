package distro

import (
	"context"
	_ "embed" // start.sh
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/tools/images/internal/oci"
)

// start is the entry point: it takes the variables of the image that Docker's library
// calls postgres, as far as the manifests use them.
//
//go:embed start.sh
var start []byte

// postgres is one PostgreSQL with what a new database of its needs, and no extension but
// the language that every database has. It is for machines that cannot pull the image
// postgres.
func postgres(ctx context.Context) (*Image, error) {
	homes, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(homes) == 0 {
		return nil, fmt.Errorf("PostgreSQL is not installed here: no /usr/lib/postgresql/*/bin/postgres, %w", err)
	}
	home := filepath.Dir(filepath.Dir(homes[len(homes)-1]))
	share := filepath.Join("/usr/share/postgresql", filepath.Base(home))
	c := newCollection(ctx)
	for _, p := range []string{home + "/bin/postgres", home + "/bin/initdb", "/bin/sh", "/bin/rm", "/bin/mv"} {
		c.program(p)
	}
	for _, form := range []string{"plpgsql.so", "dict_snowball.so", "pgoutput.so", "libpqwalreceiver.so", "*_and_*.so"} {
		for _, lib := range c.glob(filepath.Join(home, "lib", form)) {
			c.program(lib)
		}
	}
	for _, form := range []string{"*.bki", "*.sql", "*.txt", "*.sample", "catalog_version", "timezonesets/*", "tsearch_data/*", "extension/plpgsql*"} {
		for _, f := range c.glob(filepath.Join(share, form)) {
			c.file(f)
		}
	}
	for _, zone := range []string{"UTC", "GMT", "Etc/UTC"} {
		c.file("/usr/share/zoneinfo/" + zone)
	}
	c.files["/start"] = oci.File{Mode: 0o755, Data: start}
	c.files["/etc/passwd"] = oci.File{Mode: 0o644, Data: []byte("postgres:x:65532:65532:PostgreSQL:/:/bin/sh\n")}
	c.files["/etc/group"] = oci.File{Mode: 0o644, Data: []byte("postgres:x:65532:\n")}
	c.files["/tmp"] = oci.File{Mode: 0o1777}
	return c.image(oci.Spec{Title: "postgres", Entrypoint: []string{"/start"}, Env: []string{"PGHOME=" + home, "PGDATA=/var/lib/postgresql/data", "LC_ALL=C"}})
}

// glob wants at least one file.
func (c *collection) glob(form string) []string {
	files, err := filepath.Glob(form)
	if c.err == nil && (err != nil || len(files) == 0) {
		c.err = fmt.Errorf("%s: %w", form, fs.ErrNotExist)
	}
	return files
}
