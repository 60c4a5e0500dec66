package matchers

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// AttachmentFileNameIs matches messages with a part that has one of some file
// names: in the parameter name of its Content-Type or in filename of its
// Content-Disposition. Parts shown inline count too. What is inside an attached
// message is not looked at. A broken multipart or archive is an error.
//
//	<mailet match="AttachmentFileNameIs=-z *.exe, *.scr, setup.bat" class="ToProcessor">
//	  <processor>virus</processor>
//	</mailet>
//
// Condition: one or more file names, separated by commas or blanks. A name with
// a * in front stands for all that end with the rest of it. Case does not count.
// Option -z in front looks for the names in attached archives *.zip as well,
// but not in archives within these. Option -d is accepted. Without any name it
// matches never.
//
// Differs from James: parts inside multipart/alternative are looked at, and
// parts in an unknown charset; of a part with several names each counts, and
// names that do not follow the grammar are read as mail readers do; the case of
// names in archives does not count, nor the folders before them; -d does not
// log. An archive with more than 10000 entries or 512 MiB is an error, and so is
// a message with more than 1000 parts or parts nested more than 20 deep.
type AttachmentFileNameIs struct {
	zip   bool
	masks []string
}

func newAttachmentFileNameIs(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want one or more file names, separated by commas or blanks")
	}
	zip, masks := options(items(condition))
	return &AttachmentFileNameIs{zip, masks}, nil
}

// Match returns all recipients when a part has such a name.
func (a *AttachmentFileNameIs) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return anyEntity(m, func(e *mime.Entity) (bool, error) {
		if e.IsMultipart() {
			return false, nil
		}
		archive := false
		for _, name := range fileNames(e) {
			if a.matches(name) {
				return true, nil
			}
			archive = archive || strings.HasSuffix(name, ".zip")
		}
		if !a.zip || !archive {
			return false, nil
		}
		return a.inArchive(e, m.Message.Body())
	})
}

// fileNames returns the names of a part, in lower case.
func fileNames(e *mime.Entity) []string {
	names := e.FileNames()
	for i, name := range names {
		names[i] = strings.ToLower(strings.TrimSpace(name))
	}
	return names
}

// matches compares a name in lower case with the masks.
func (a *AttachmentFileNameIs) matches(name string) bool {
	return slices.ContainsFunc(a.masks, func(mask string) bool {
		if end, ok := strings.CutPrefix(mask, "*"); ok {
			return strings.HasSuffix(name, end)
		}
		return name == mask
	})
}

// inArchive reports whether an entry of the archive in e has such a name.
func (a *AttachmentFileNameIs) inArchive(e *mime.Entity, body container.Body) (bool, error) {
	r, err := e.Open(body)
	if err != nil {
		return false, err
	}
	defer r.Close()
	names, err := zipNames(r)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(names, func(name string) bool {
		name = strings.ToLower(strings.ReplaceAll(name, `\`, "/"))
		return a.matches(name) || a.matches(path.Base(name))
	}), nil
}
