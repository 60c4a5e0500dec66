package cmd

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailetd/mailetd/repository/backup"
)

// backup is mailetd backup FILE.
func (p *program) backup(ctx context.Context, args []string) error {
	f := p.flags("backup")
	noMail := f.Bool("no-maildirs", false, "leave the Maildirs out")
	operands, err := f.parse(args)
	if err != nil {
		return err
	}
	if len(operands) != 1 {
		return usageError{"backup takes the name of one file; - is standard output"}
	}
	host, _ := os.Hostname() // only for people
	src := backup.Source{Data: f.data, NoMail: *noMail, Host: host, Program: Version, Now: time.Now,
		LeftOut: func(path string) { fmt.Fprintf(p.stderr, "left out, since it is no file: %s\n", path) }}
	name := operands[0]
	if name == "-" {
		_, err := backup.Write(ctx, p.stdout, src)
		return err
	}
	sum, err := writeFile(name, func(w io.Writer) (backup.Summary, error) { return backup.Write(ctx, w, src) })
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s: %d files, %d octets\n", name, sum.Files, sum.Bytes)
	return nil
}

// compressed reports whether a file of such a name is compressed with gzip.
func compressed(name string) bool {
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".tgz")
}

// writeFile makes a new file, which gets its name when it is whole and durable.
func writeFile(name string, write func(io.Writer) (backup.Summary, error)) (sum backup.Summary, err error) {
	if _, err := os.Lstat(name); err == nil {
		return sum, fmt.Errorf("%s is there already; name another file", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".part-") // for the owner only: it has mail and passwords
	if err != nil {
		return sum, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if sum, err = writeCompressed(f, compressed(name), write); err != nil {
		return sum, err
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return sum, err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return sum, err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return sum, err
	}
	return sum, errors.Join(d.Sync(), d.Close())
}

func writeCompressed(f io.Writer, gz bool, write func(io.Writer) (backup.Summary, error)) (backup.Summary, error) {
	buf := bufio.NewWriterSize(f, 1<<20)
	if !gz {
		sum, err := write(buf)
		return sum, errors.Join(err, buf.Flush())
	}
	z := gzip.NewWriter(buf)
	sum, err := write(z)
	return sum, errors.Join(err, z.Close(), buf.Flush())
}

// restore is mailetd restore FILE.
func (p *program) restore(ctx context.Context, args []string) error {
	f := p.flags("restore")
	operands, err := f.parse(args)
	if err != nil {
		return err
	}
	if len(operands) != 1 {
		return usageError{"restore takes the name of one file; - is standard input"}
	}
	in := p.stdin
	if name := operands[0]; name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	r, err := decompressed(in)
	if err != nil {
		return err
	}
	head, sum, err := backup.Restore(ctx, r, f.data)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s: %d files, %d octets as they were on %s at %s\n", f.data, sum.Files, sum.Bytes, head.Host, head.Made.Format(time.RFC3339))
	return nil
}

// decompressed returns what is in r, whether it is compressed with gzip or not.
func decompressed(r io.Reader) (io.Reader, error) {
	buf := bufio.NewReaderSize(r, 1<<20)
	if magic, _ := buf.Peek(2); string(magic) != "\x1f\x8b" {
		return buf, nil
	}
	return gzip.NewReader(buf)
}
