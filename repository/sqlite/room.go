package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// room watches the space on the disk. The last of it is for the mails that are
// there: to lease, move and even to remove one takes some, so a store that took
// new mails until nothing is left could not get rid of any.
type room struct {
	reserve uint64                 // octets
	free    func() (uint64, error) // octets that are free
	checked atomic.Int64           // when that was looked at last, in nanoseconds since 1970
	left    atomic.Uint64          // what it was
}

// While that much is free besides the reserve, it is enough to look now and then.
const (
	roomPlenty = 4 << 30
	roomEvery  = 200 * time.Millisecond
)

// errNoRoom is what new mails are refused with.
var errNoRoom = errors.New("too little free space on the disk for new mails")

// check returns an error when there is no room for new mails.
func (r *room) check() error {
	now, checked := time.Now().UnixNano(), r.checked.Load()
	if r.left.Load() < r.reserve+roomPlenty || now-checked > int64(roomEvery) || now < checked {
		free, err := r.free()
		if err != nil {
			return nil // unknown: whoever writes will see
		}
		r.left.Store(free)
		r.checked.Store(now)
	}
	if left := r.left.Load(); left < r.reserve {
		return fmt.Errorf("%w: %d MiB, of which the last %d are for those that are here", errNoRoom, left>>20, r.reserve>>20)
	}
	return nil
}

// freeSpace returns how many octets this process can still write into a folder.
func freeSpace(path string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 || st.Bsize <= 0 { // some file systems do not tell
		return 0, errors.ErrUnsupported
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil // the types differ between systems
}
