package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// victimFolder names the data folder for a process that is going to be killed.
const victimFolder = "MAILETD_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimFolder); dir != "" {
		fmt.Fprintln(os.Stderr, victim(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// victim puts mails into the spool and moves them on, and prints the name of
// each mail whose Commit returned, until it is killed.
func victim(dir string) error {
	s, err := Open(dir, Options{Logger: quiet()})
	if err != nil {
		return err
	}
	moving := &pipe{s: s, to: "outgoing", items: make(chan *repository.Item, 1<<20), fail: func(err error) { panic(err) }}
	s.Consume("spool", moving)
	var all sync.WaitGroup
	all.Go(moving.run)
	for k := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("mail-%d-%d", k, i)
				size := 3000
				if i%20 == 0 {
					size = 200_000
				}
				w := s.NewBody()
				_, err := w.Write(bytes.Repeat([]byte(name[:6]), size/6))
				body, err2 := w.Finish()
				if err = errors.Join(err, err2); err == nil {
					err = s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: testMail(name, body), Queue: "spool"}}})
				}
				if err != nil {
					panic(err)
				}
				fmt.Println(name)
			}
		})
	}
	all.Wait()
	return nil
}

// TestKilled kills a process in the middle of its work: what it said was stored
// is there, once, whole.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), victimFolder+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	said := map[string]bool{}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if said[strings.TrimSpace(line)] = true; len(said) == 400 {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || len(said) < 400 {
		t.Fatalf("the victim ended by itself: %v", err)
	}

	s := openTest(t, dir)
	wantSound(t, s)
	found := map[string]int{}
	for _, queue := range []string{"spool", "outgoing"} {
		for items := leaseAll(t, s, queue); len(items) > 0; items = leaseAll(t, s, queue) {
			for _, it := range items {
				found[it.Mail.Name]++
				if n, err := it.Mail.Message.WriteTo(io.Discard); err != nil || n != it.Mail.Message.Size() {
					t.Errorf("mail %s: %d octets of %d, %v", it.Mail.Name, n, it.Mail.Message.Size(), err)
				}
				must(t, s.Commit(context.Background(), repository.Change{Done: it}))
			}
		}
	}
	for name := range said {
		if found[name] != 1 {
			t.Errorf("mail %s was promised once and found %d times", name, found[name])
		}
	}
	wantEmpty(t, s)
}

// wantEmpty fails when a message or a body file is left.
func wantEmpty(t *testing.T, s *Store) {
	t.Helper()
	wantSound(t, s)
	if n := count(t, s, "SELECT COUNT(*) FROM message"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	waitFor(t, "body files to be removed", func() bool { return len(files(t, s)) == 0 })
}

func files(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.bodies)
	must(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// waitFor waits for a condition that another goroutine brings about.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for", what)
		}
		runtime.Gosched()
	}
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir)
	if _, err := Open(dir, Options{Logger: quiet()}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("got error %v, want the folder to be in use", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		spoil      func(t *testing.T, dir string)
	}{
		{"newer", "version 99", func(t *testing.T, dir string) { script(t, dir, "PRAGMA user_version = 99") }},
		{"foreign", "was not made by mailetd", func(t *testing.T, dir string) {
			script(t, dir, "PRAGMA application_id = 7")
		}},
		{"no database", "file is not a database", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, databaseName)))
			must(t, os.WriteFile(filepath.Join(dir, databaseName), bytes.Repeat([]byte("text "), 5000), 0o600))
		}},
		{"damaged", "malformed", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, databaseName), os.O_RDWR, 0)
			must(t, err)
			_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, pageSize-100), 100)
			must(t, err)
			must(t, f.Close())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := Open(dir, Options{Logger: quiet()})
			must(t, err)
			must(t, s.Close(context.Background()))
			tc.spoil(t, dir)
			_, err = Open(dir, Options{Logger: quiet()})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got error %v, want one with %q and the folder", err, tc.want)
			}
			if _, err := Open(dir, Options{Logger: quiet()}); err != nil && strings.Contains(err.Error(), "in use") {
				t.Error("the folder stayed locked after a failed Open")
			}
		})
	}
}

// script runs statements on a database that nobody has open.
func script(t *testing.T, dir, text string) {
	t.Helper()
	c, err := openConn(filepath.Join(dir, databaseName))
	must(t, err)
	must(t, c.exec(text))
	must(t, c.close())
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	c, err := openConn(path)
	must(t, err)
	defer c.close()
	steps := []string{"CREATE TABLE one (a INTEGER)", "ALTER TABLE one ADD COLUMN b INTEGER"}
	must(t, migrate(c, steps[:1]))
	must(t, c.exec("INSERT INTO one (a) VALUES (5)"))
	if err := migrate(c, []string{steps[0], "CREATE TABLE two (a INTEGER); bad"}); err == nil {
		t.Error("a bad step went through")
	}
	must(t, migrate(c, steps))
	must(t, migrate(c, steps))
	version, err := c.pragma("user_version")
	must(t, err)
	tables := 0
	must(t, c.query("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'two'", func(row []value) error { tables = int(asInt(row[0])); return nil }))
	if version != 2 || tables != 0 {
		t.Errorf("got version %d, want 2; %d tables of a step that failed", version, tables)
	}
	must(t, c.exec("UPDATE one SET b = a"))
}
