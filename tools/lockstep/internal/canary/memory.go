package canary

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const pageSize = 4096

// Snapshot is what of a process's memory is not zero, in a file.
type Snapshot struct {
	path string
	runs []run
}

// run is memory without a gap.
type run struct {
	at, size int64
	region   string
}

// Take copies the readable memory of a process, code excepted, to a file. It needs
// the right to trace the process. The process runs on meanwhile.
func Take(pid int, path string) (_ *Snapshot, err error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		return nil, err
	}
	mem, err := os.Open(filepath.Join(proc, "mem"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = mem.Close() }()
	pagemap, err := os.Open(filepath.Join(proc, "pagemap"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = pagemap.Close() }()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	s := &Snapshot{path: path}
	w := bufio.NewWriterSize(out, window)
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var access, offset, dev, inode, name string
		n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %s %s", &from, &to, &access, &offset, &dev, &inode, &name)
		if n < 3 || access[0] != 'r' || access[2] == 'x' || name == "[vvar]" || name == "[vvar_vclock]" {
			continue
		}
		if err := s.copy(mem, pagemap, w, run{from, to - from, name}); err != nil {
			return nil, err
		}
	}
	return s, w.Flush()
}

// copy takes the pages of one region that hold anything. Most of what a Go process
// has mapped it has never touched; the page map says which pages are there.
func (s *Snapshot) copy(mem, pagemap io.ReaderAt, w io.Writer, region run) error {
	const entry = 8 // bytes a page
	buf, pages := make([]byte, window), make([]byte, window/pageSize*entry)
	for at := region.at; at < region.at+region.size; at += window {
		part := buf[:min(window, region.at+region.size-at)]
		known, _ := pagemap.ReadAt(pages[:len(part)/pageSize*entry], at/pageSize*entry)
		if known == len(part)/pageSize*entry && zero(pages[:known]) {
			continue
		}
		// What went away since the list was read is not read.
		got, _ := mem.ReadAt(part, at)
		for p := 0; p < got; p += pageSize {
			page := part[p:min(p+pageSize, got)]
			if zero(page) {
				continue
			}
			if _, err := w.Write(page); err != nil {
				return err
			}
			s.add(run{at + int64(p), int64(len(page)), region.region})
		}
	}
	return nil
}

func (s *Snapshot) add(r run) {
	if n := len(s.runs); n > 0 && s.runs[n-1].at+s.runs[n-1].size == r.at && s.runs[n-1].region == r.region {
		s.runs[n-1].size += r.size
		return
	}
	s.runs = append(s.runs, r)
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// Size is how much of the memory is not zero, in bytes.
func (s *Snapshot) Size() (n int64) {
	for _, r := range s.runs {
		n += r.size
	}
	return n
}

// Search looks for the keys. Found.At is an address of the process.
func (s *Snapshot) Search(n *Needles) (found []Found, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	for _, r := range s.runs {
		in, err := n.In(io.LimitReader(f, r.size))
		if err != nil {
			return nil, err
		}
		for _, x := range in {
			x.At += r.at
			found = append(found, x)
		}
	}
	return found, nil
}
