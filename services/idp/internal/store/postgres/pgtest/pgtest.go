// Package pgtest runs a PostgreSQL server for tests: one that is thrown away.
//
// What lives here: finding the server's programs, starting it on a unix socket as a user
// without rights, databases on it, and its end. What never may: a fake. Tests of the
// store and of replicas call it, and package idptest for those elsewhere; nothing else
// may link it.
package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// Need is the variable that turns a skip into a failure, for machines that are meant to
// have PostgreSQL.
const Need = "LOCKSTEP_NEED_POSTGRES"

// Config of a server.
type Config struct {
	// Durable has every commit reach the disk, as a server in earnest does; else tests
	// are spared the wait.
	Durable bool
}

// Server is a running server. It ends with its test.
type Server struct {
	dir       string
	databases atomic.Int32
	bin       string
	as        *syscall.SysProcAttr
	cmd       *exec.Cmd
	cfg       Config
}

// Start starts a server, or skips the test and says what is missing.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	bin, err := programs()
	if err != nil {
		missing(t, err)
	}
	as, uid, err := ordinary()
	if err != nil {
		missing(t, err)
	}
	// Not the test's own folder: a path of a unix socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "pg") //nolint:usetesting // see above
	if err == nil && uid >= 0 {
		err = os.Chown(dir, uid, -1)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir, bin: bin, as: as, cfg: cfg}
	t.Cleanup(func() { s.stop(t) })
	if out, err := s.command("initdb", "-D", s.data(), "-U", "lockstep", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...) //nolint:gosec,noctx // G204: a program of the machine; the server lives as long as the test
	c.Dir, c.SysProcAttr, c.Env = s.dir, s.as, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	return c
}

// Run starts the server again after Kill.
func (s *Server) Run(ctx context.Context) error {
	sync := "off"
	if s.cfg.Durable {
		sync = "on"
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = s.command("postgres", "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync="+sync,
		"-c", "full_page_writes="+sync, "-c", "shared_buffers=32MB", "-c", "max_connections=200")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	db, err := sql.Open("pgx", s.dsn("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		if time.Now().After(until) || ctx.Err() != nil {
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("postgres does not answer: %w\n%s", err, text)
		}
	}
}

// Kill ends the server at once, as a loss of power does.
func (s *Server) Kill() error {
	if s.cmd == nil {
		return nil
	}
	err := s.cmd.Process.Signal(syscall.SIGQUIT) // "immediate shutdown"
	_ = s.cmd.Wait()
	s.cmd = nil
	return err
}

func (s *Server) stop(t testing.TB) {
	if err := s.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Error(err)
	}
}

func (s *Server) dsn(database string) string {
	return fmt.Sprintf("host=%s user=lockstep dbname=%s", s.dir, database)
}

// Database makes an empty place for a store and tells how to reach it. It is a schema of
// the one database of the server: a database would take a second to make.
func (s *Server) Database(t testing.TB) secret.Text {
	t.Helper()
	name := "s" + strconv.Itoa(int(s.databases.Add(1)))
	db, err := sql.Open("pgx", s.dsn("postgres"))
	if err == nil {
		_, err = db.ExecContext(t.Context(), "CREATE SCHEMA "+name)
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return secret.NewText(s.dsn("postgres") + " search_path=" + name)
}

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv(Need) == "1" {
		t.Fatalf("%s=1, and %v", Need, err)
	}
	t.Skipf("%v", err)
}

// programs finds the folder of initdb and postgres.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian keeps them out of the path
	if len(found) == 0 {
		return "", errors.New("PostgreSQL is missing: no initdb in the path or under /usr/lib/postgresql (Debian: apt-get install postgresql)")
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return strings.Compare(a, b) })), nil
}

// ordinary says as whom to run: PostgreSQL refuses to run as root. The number is -1 for
// who we are already.
func ordinary() (*syscall.SysProcAttr, int, error) {
	if os.Geteuid() != 0 {
		return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}, -1, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return nil, 0, err
		}
		return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, uid, nil
	}
	return nil, 0, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}
