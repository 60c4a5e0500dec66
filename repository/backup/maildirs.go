package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// top adds all that is in a folder of the data folder, which may be a link to
// another disk, or missing.
func (a *archive) top(dir, name string) error {
	real, err := filepath.EvalSymlinks(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return a.maildirs(real, name)
}

// open opens the file or folder at path, unless it is a link, by now perhaps:
// those who own Maildirs must not have the backup read for them what they may not
// read. The error is nil without a file when it is no regular file.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) // and does not wait at a pipe
	if errors.Is(err, syscall.ELOOP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// maildirs adds folder dir and all below it. A folder with new and cur is the
// Maildir of a user, its folders among those below. Symbolic links and special
// files are left out.
func (a *archive) maildirs(dir, name string) error {
	entries, err := os.ReadDir(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if has(entries, "new") && has(entries, "cur") {
		return a.maildir(dir, name)
	}
	if err := a.folder(dir, name); err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), name+"/"+e.Name()
		switch {
		case e.IsDir():
			err = a.maildirs(from, to)
		case e.Type().IsRegular():
			err = a.other(from, to)
		default:
			a.leftOut(from)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passes is how often a Maildir is read at most.
const passes = 10

// maildir adds the Maildir of a user. Readers of mail move mails between folders
// and give them other names, but for the part before ":". So all is read a second
// time for what was moved, and again as long as something goes away between
// the list and the copy. A mail that was moved meanwhile may be there twice.
func (a *archive) maildir(dir, name string) error {
	have := map[string]bool{}
	for pass := range passes {
		missed, err := a.tree(dir, name, have, pass == 0)
		if err != nil {
			return err
		}
		if missed == 0 && pass > 0 {
			return nil
		}
	}
	return fmt.Errorf("%s: mails are renamed faster than they can be copied", dir)
}

// tree adds what is new in a folder of a Maildir and in those below it, and
// returns how many mails went away before they could be opened.
func (a *archive) tree(dir, name string, have map[string]bool, first bool) (missed int, err error) {
	entries, err := a.enter(dir, name, have)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), name+"/"+e.Name()
		n := 0
		switch {
		case e.IsDir() && (e.Name() == "new" || e.Name() == "cur"):
			n, err = a.newMails(from, to, name, have, first)
		case e.IsDir() && e.Name() == "tmp" && !have[to]:
			have[to] = true
			err = a.folder(from, to)
		case e.IsDir() && e.Name() != "tmp":
			n, err = a.tree(from, to, have, first)
		case first && e.Type().IsRegular() && !isIndex(e.Name()):
			err = a.other(from, to)
		case first && !e.Type().IsRegular() && !e.IsDir():
			a.leftOut(from)
		}
		missed += n
		if err != nil {
			return missed, err
		}
	}
	return missed, nil
}

func has(entries []os.DirEntry, folder string) bool {
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.IsDir() && e.Name() == folder })
}

// isIndex reports whether name is a file that Dovecot makes again when it is
// missing. The lists of UIDs and keywords are not.
func isIndex(name string) bool {
	return strings.HasPrefix(name, "dovecot.index") || strings.HasPrefix(name, "dovecot.list") || strings.HasSuffix(name, ".lock")
}

func (a *archive) folder(dir, name string) error {
	info, err := os.Lstat(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return a.add(name, info, nil)
}

// other adds a file that is not a mail.
func (a *archive) other(path, name string) error {
	f, err := open(path)
	if gone(err) || err == nil && f == nil {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(a.changing(name, f), f.Close())
}

// enter lists a folder, and adds it when it is entered for the first time. One
// that is gone is empty: its mails were moved, and are found where they are now.
func (a *archive) enter(dir, name string, have map[string]bool) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if gone(err) {
		return nil, nil
	}
	if err == nil && !have[name] {
		have[name] = true
		err = a.folder(dir, name)
	}
	return entries, err
}

// newMails adds the mails of new or cur, the folder dir of the Maildir folder box, that are
// not among have.
func (a *archive) newMails(dir, name, box string, have map[string]bool, first bool) (missed int, err error) {
	entries, err := a.enter(dir, name, have)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		unique, _, _ := strings.Cut(e.Name(), ":")
		key := box + ":" + unique
		if first && !e.Type().IsRegular() {
			a.leftOut(filepath.Join(dir, e.Name()))
		}
		if !e.Type().IsRegular() || have[key] {
			continue
		}
		f, err := open(filepath.Join(dir, e.Name()))
		switch {
		case gone(err):
			missed++
			continue
		case err != nil:
			return missed, err
		case f == nil:
			continue
		}
		have[key] = true
		if err := errors.Join(a.file(name+"/"+e.Name(), f), f.Close()); err != nil {
			return missed, err
		}
	}
	return missed, nil
}
