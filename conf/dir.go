package conf

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// The built-in configuration: what a folder does not have is taken from here.
//
//go:embed *.xml *.properties
var builtin embed.FS

// MaxFileSize is the size above which a configuration file is refused.
const MaxFileSize = 16 << 20

// Options say where the configuration finds what is not in its folder.
type Options struct {
	Data string                      // the folder that file://var/ means; "" is var below the root
	Sys  map[string]string           // -Dname=value; they win over jvm.properties
	Env  func(string) (string, bool) // nil: the environment of this process
}

// Dir is a configuration folder with files under James's names. Each file is
// read when it is asked for, once; problems go to the report given to Open. It
// is used while the configuration is loaded, by one goroutine.
type Dir struct {
	dir    string
	data   string
	names  []string // what the folder holds, sorted
	vars   *Vars
	report *Report

	xml       map[string]*File
	props     map[string]*Properties
	loaded    []string
	defaulted []string
	used      map[string]bool // read under a name that is not James's
}

// Open looks at the folder dir and reads its jvm.properties. An empty dir means
// the built-in configuration alone. A folder that cannot be read is an error in
// r; what Open returns can be used nevertheless and has the built-in files.
func Open(dir string, o Options, r *Report) *Dir {
	d := &Dir{
		dir: dir, data: o.Data, report: r,
		vars: &Vars{Sys: maps.Clone(o.Sys), Env: o.Env},
		xml:  map[string]*File{}, props: map[string]*Properties{}, used: map[string]bool{},
	}
	if d.vars.Sys == nil {
		d.vars.Sys = map[string]string{}
	}
	if dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			r.Errorf(Pos{File: dir}, "the configuration folder cannot be read: %v", reason(err))
			d.dir = ""
		}
		for _, e := range entries {
			d.names = append(d.names, e.Name())
		}
	}
	jvm := d.Properties("jvm.properties")
	for _, key := range jvm.Keys() {
		if _, given := d.vars.Sys[key]; !given {
			d.vars.Sys[key] = jvm.Raw(key)
		}
	}
	return d
}

// reason returns the cause of err without the path, which the position has.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Report returns the report that problems go to.
func (d *Dir) Report() *Report { return d.report }

// XML returns the file called name with its variables replaced. Root is nil
// when the file is not well-formed, and when there is neither such a file nor a
// built-in one.
func (d *Dir) XML(name string) *File {
	if f, ok := d.xml[name]; ok {
		return f
	}
	f := &File{Name: name}
	if data, ok := d.read(name); ok {
		f = ParseXML(name, data, d.report)
		d.vars.ExpandXML(f, d.report)
		f.sys = d.vars.Sys
	}
	d.xml[name] = f
	return f
}

// Properties returns the file called name with its variables replaced. Exists
// is false when there is neither such a file nor a built-in one.
func (d *Dir) Properties(name string) *Properties {
	if p, ok := d.props[name]; ok {
		return p
	}
	p := &Properties{Name: name, report: d.report}
	if data, ok := d.read(name); ok {
		p = ParseProperties(name, data, d.include, d.vars, d.report)
	}
	d.props[name] = p
	return p
}

// include reads a file that a properties file of the folder includes.
func (d *Dir) include(name string) ([]byte, error) {
	if d.dir == "" {
		return nil, errors.New("there is no configuration folder")
	}
	file := filepath.FromSlash(name)
	if !filepath.IsAbs(file) {
		file = filepath.Join(d.dir, file)
	}
	d.used[path.Base(name)] = true
	data, err := readRegular(file)
	if err != nil {
		return nil, fmt.Errorf("%w", reason(err))
	}
	return data, nil
}

// read returns the content of name: from the folder, else built in.
func (d *Dir) read(name string) ([]byte, bool) {
	if d.dir != "" {
		data, err := readRegular(filepath.Join(d.dir, name))
		if err == nil {
			d.loaded = append(d.loaded, name)
			return data, true
		}
		if !errors.Is(err, fs.ErrNotExist) {
			d.report.Errorf(Pos{File: name}, "the file cannot be read: %v", reason(err))
			return nil, false
		}
	}
	data, err := builtin.ReadFile(name)
	if err != nil {
		return nil, false
	}
	if d.dir != "" && strings.HasSuffix(name, ".xml") && d.strict() {
		d.report.Errorf(Pos{File: name}, "the file is missing, and james.fail.on.missing.configuration is true: add it, or set that to false to use the built-in one")
	}
	d.defaulted = append(d.defaulted, name)
	return data, true
}

// strict reports whether a missing file stops the start.
func (d *Dir) strict() bool {
	b, _ := parseBool(d.vars.Sys["james.fail.on.missing.configuration"])
	return b
}

// readRegular reads a file, but no pipe, device or folder, and nothing huge.
func readRegular(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > MaxFileSize:
		return nil, fmt.Errorf("it has %d octets; no configuration file may have more than %d", info.Size(), MaxFileSize)
	}
	return os.ReadFile(name)
}

// Loaded returns the names of the files read from the folder so far, sorted.
func (d *Dir) Loaded() []string { return sorted(d.loaded) }

// Defaulted returns the names of the files that the folder does not have and
// whose built-in form was read so far, sorted.
func (d *Dir) Defaulted() []string { return sorted(d.defaulted) }

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// Root returns the folder that file:// URLs are relative to: the value of
// -Dworking.directory, else the one that holds the configuration folder.
func (d *Dir) Root() string {
	switch {
	case d.vars.Sys["working.directory"] != "":
		return d.vars.Sys["working.directory"]
	case d.dir == "":
		return "."
	}
	return filepath.Dir(filepath.Clean(d.dir))
}

// DataDir returns the folder that holds what the server keeps.
func (d *Dir) DataDir() string {
	if d.data != "" {
		return d.data
	}
	return filepath.Join(d.Root(), "var")
}

// Path turns a reference to a file into a path of this system:
//
//	file:///x       /x
//	file://conf/x   x in the configuration folder
//	file://var/x    x in the data folder
//	file://x        x below Root
//	x               an absolute path as it is, else below Root
//
// A classpath: reference names something built in; see ReadFile.
func (d *Dir) Path(ref string) (string, error) {
	rest, isURL := strings.CutPrefix(strings.TrimSpace(ref), "file:")
	if isURL && strings.HasPrefix(rest, "//") {
		rest = rest[2:]
	}
	if rest == "" {
		return "", errors.New("the name of the file is empty")
	}
	if !isURL && (strings.HasPrefix(rest, "classpath:") || strings.Contains(rest, "://")) {
		return "", fmt.Errorf("%q names no file; want file://conf/NAME or an absolute path", ref)
	}
	if strings.ContainsRune(rest, 0) {
		return "", fmt.Errorf("%q names no file", ref)
	}
	d.used[path.Base(rest)] = true
	file := filepath.FromSlash(rest)
	if filepath.IsAbs(file) {
		return file, nil
	}
	if sub, ok := strings.CutPrefix(rest, "conf/"); ok && isURL && d.dir != "" {
		return filepath.Join(d.dir, filepath.FromSlash(sub)), nil
	}
	if sub, ok := strings.CutPrefix(rest, "var/"); ok && isURL {
		return filepath.Join(d.DataDir(), filepath.FromSlash(sub)), nil
	}
	return filepath.Join(d.Root(), file), nil
}

// ReadFile returns the content of a file that the configuration refers to, in
// one of the forms of Path. classpath:NAME is a built-in configuration file.
func (d *Dir) ReadFile(ref string) ([]byte, error) {
	if name, ok := strings.CutPrefix(strings.TrimSpace(ref), "classpath:"); ok {
		name = strings.TrimLeft(name, "/")
		data, err := builtin.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("nothing built in is called %q; copy the file to the configuration folder and name it as file://conf/NAME", name)
		}
		return data, nil
	}
	file, err := d.Path(ref)
	if err != nil {
		return nil, err
	}
	data, err := readRegular(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, reason(err))
	}
	return data, nil
}
