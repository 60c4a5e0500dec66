package local

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailetd/mailetd/container"
)

// maxUserName is James's limit.
const maxUserName = 255

// CheckUserName returns the normal form of a user name, or why it cannot be
// one. Errors: ErrInvalidUser with James's text.
func (d *Directory) CheckUserName(ctx context.Context, name string) (string, error) {
	name = lower(strings.TrimSpace(name))
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "", refuse(ErrInvalidUser, "username should not be empty")
	case n > maxUserName:
		return "", refuse(ErrInvalidUser, "username length should not be longer than 255 characters")
	}
	at := strings.LastIndexByte(name, '@')
	switch {
	case d.cfg.VirtualHosting && at < 0:
		return "", refuse(ErrInvalidUser, "Given Username needs to contain a @domainpart")
	case !d.cfg.VirtualHosting && at >= 0:
		return "", refuse(ErrInvalidUser, "Given Username contains a @domainpart but virtualhosting support is disabled")
	}
	localPart := name
	if at >= 0 {
		localPart = name[:at]
		ok, err := d.IsLocalDomain(ctx, name[at+1:])
		if err != nil {
			return "", err
		}
		if !ok {
			return "", refuse(ErrInvalidUser, "Domain does not exist in DomainList")
		}
	}
	if localPart == "" || strings.ContainsAny(localPart, "\"(),:; <>@[\\]") {
		return "", refuse(ErrInvalidUser, fmt.Sprintf("User '%s' contains a forbidden character", name))
	}
	if _, err := container.ParseAddress(localPart + "@x"); err != nil {
		return "", refuse(ErrInvalidUser, err.Error())
	}
	return name, nil
}

// AddUser creates an account. Errors: ErrUserExists; ErrShadowed while the
// address is the source of an alias or group; ErrInvalidUser.
func (d *Directory) AddUser(ctx context.Context, name, password string) error {
	name, err := d.CheckUserName(ctx, name)
	if err != nil {
		return err
	}
	_, exists, err := d.store.User(ctx, name)
	if err != nil {
		return fmt.Errorf("look user up: %w", err)
	}
	if exists {
		return refuse(ErrUserExists, "'"+name+"' user already exist")
	}
	source := name
	if !d.cfg.VirtualHosting {
		source += "@" + d.cfg.DefaultDomain
	}
	have, err := d.mappingsOf(ctx, source)
	if err != nil {
		return err
	}
	if have = slices.DeleteFunc(have, func(m Mapping) bool { return m.Type != MapAlias && m.Type != MapGroup }); len(have) > 0 {
		list := make([]string, len(have))
		for i, m := range have {
			list[i] = m.String()
		}
		return refuse(ErrShadowed, "'"+name+"' already have associated mappings: "+strings.Join(list, ", "))
	}
	return d.putUser(ctx, name, password)
}

// SetPassword changes a password, or creates the account without looking for
// conflicts (webadmin: force). Errors: ErrInvalidUser.
func (d *Directory) SetPassword(ctx context.Context, name, password string) error {
	name, err := d.CheckUserName(ctx, name)
	if err != nil {
		return err
	}
	return d.putUser(ctx, name, password)
}

func (d *Directory) putUser(ctx context.Context, name, password string) error {
	if password == "" {
		return refuse(ErrInvalid, "password must not be empty")
	}
	return d.PutUser(ctx, newHash(name, password, d.cfg.HashIterations))
}

// PutUser stores an account with its hash as it is, for imports.
func (d *Directory) PutUser(ctx context.Context, u User) error {
	u.Name = lower(u.Name)
	defer d.allSCRAM.clear()
	defer d.users.clear()
	if err := d.store.PutUser(ctx, u); err != nil {
		return fmt.Errorf("store user: %w", err)
	}
	return nil
}

// DeleteUser removes an account; one that is not there is no error. Mappings
// that mention it stay.
func (d *Directory) DeleteUser(ctx context.Context, name string) error {
	defer d.allSCRAM.clear()
	defer d.users.clear()
	if err := d.store.RemoveUser(ctx, lower(name)); err != nil {
		return fmt.Errorf("remove user: %w", err)
	}
	return nil
}

// Users returns all account names, sorted.
func (d *Directory) Users(ctx context.Context) ([]string, error) {
	names, err := d.store.Users(ctx)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// HasUser reports whether there is an account of that name.
func (d *Directory) HasUser(ctx context.Context, name string) (bool, error) {
	return d.hasUser(ctx, lower(name))
}

// Authenticate checks a password and returns the account name. A wrong password
// and an unknown user take the same time, of which most is spent on purpose;
// a right one is remembered for five minutes (a keyed digest of it, in memory
// only) so that a client with many connections does not pay each time.
//
// Without virtual hosting user may be an address in a local domain.
func (d *Directory) Authenticate(ctx context.Context, user, password string) (name string, ok bool, err error) {
	name, err = d.accountName(ctx, user)
	if err != nil {
		return "", false, err
	}
	u, found, err := d.store.User(ctx, name)
	if err != nil {
		return "", false, fmt.Errorf("look user up: %w", err)
	}
	mac := d.mac(name, password, u)
	now := d.cfg.Now()
	if known, hit, _ := d.verified.get(name, now); found && hit && subtle.ConstantTimeCompare(known[:], mac[:]) == 1 {
		return name, true, nil
	}
	select {
	case d.hashing <- struct{}{}:
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	right := verify(u, found, password, d.cfg.HashIterations)
	<-d.hashing
	if right {
		_, _, gen := d.verified.get(name, now)
		d.verified.put(name, mac, now, gen)
		return name, true, nil
	}
	return "", false, d.pause(ctx)
}

// pause waits verifyFailureDelay.
func (d *Directory) pause(ctx context.Context) error {
	if d.cfg.VerifyFailureDelay <= 0 {
		return nil
	}
	t := time.NewTimer(d.cfg.VerifyFailureDelay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Directory) accountName(ctx context.Context, user string) (string, error) {
	user = lower(user)
	at := strings.LastIndexByte(user, '@')
	if d.cfg.VirtualHosting || at < 0 {
		return user, nil
	}
	ok, err := d.IsLocalDomain(ctx, user[at+1:])
	if ok {
		user = user[:at]
	}
	return user, err
}

// mac is a digest that changes with the password, the user and the stored hash.
func (d *Directory) mac(name, password string, u User) (sum [32]byte) {
	h := hmac.New(sha256.New, d.macKey[:])
	for _, s := range []string{name, password, u.Algorithm, u.Hash} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	copy(sum[:], h.Sum(nil))
	return sum
}
