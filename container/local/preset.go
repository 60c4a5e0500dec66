package local

import (
	"context"
	"fmt"
)

// PresetUser is an account that the configuration describes: Password, or a hash
// in one of the stored forms.
type PresetUser struct {
	User
	Password string
}

// Preset makes the store agree with the accounts of the configuration: one that
// is missing, or has another password, is stored. So what was changed
// since is as configured again; other accounts stay as they are. Errors: as
// CheckUserName, and those of the store.
func (d *Directory) Preset(ctx context.Context, users []PresetUser) error {
	for _, p := range users {
		name, err := d.CheckUserName(ctx, p.Name)
		if err != nil {
			return fmt.Errorf("user %s of the configuration: %w", p.Name, err)
		}
		have, found, err := d.store.User(ctx, name)
		if err != nil {
			return fmt.Errorf("look user up: %w", err)
		}
		want := User{Name: name, Algorithm: p.Algorithm, Hash: p.Hash}
		if p.Password != "" {
			if found && verify(have, true, p.Password, 1) {
				continue
			}
			want = newHash(name, p.Password, d.cfg.HashIterations)
		}
		if found && have == want {
			continue
		}
		if err := d.PutUser(ctx, want); err != nil {
			return err
		}
	}
	return nil
}
