package cmd

import (
	"slices"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/webadmin"
)

// schedules checks what mailrepositorystore.xml says of scheduled reprocessing,
// and notes its repositories as ones to be made.
func (s *site) schedules(l *live, r *conf.Report) []webadmin.Schedule {
	var out []webadmin.Schedule
	for _, p := range s.repos.Reprocessings {
		u, err := s.useRepository(p.Repository)
		if err != nil {
			r.Errorf(p.Pos, "<reprocess>: %v", err)
			continue
		}
		if p.Processor != "" && !s.unreadable && !slices.Contains(s.states, p.Processor) {
			r.Errorf(p.Pos, "<reprocess>: no <processor state=%q> in mailetcontainer.xml%s", p.Processor, conf.Suggest(p.Processor, s.states))
			continue
		}
		if names := queueNames(l.pipeline.Runners); p.Queue != "" && !s.unreadable && !slices.Contains(names, p.Queue) {
			r.Errorf(p.Pos, "<reprocess>: there is no queue %q%s", p.Queue, conf.Suggest(p.Queue, names))
			continue
		}
		l.repositories[u] = true
		one := webadmin.Schedule{Repository: u, Every: p.Every, Queue: p.Queue, Limit: p.Limit}
		if p.Processor != "" {
			one.Processor = &p.Processor
		}
		if p.MaxRetries > 0 {
			one.MaxRetries = &p.MaxRetries
		}
		out = append(out, one)
	}
	return out
}

// queueNames returns the spool and the queues that mailets empty.
func queueNames(runners []container.Runner) []string {
	names := []string{container.SpoolQueue}
	for _, r := range runners {
		if c, ok := r.(interface{ Consuming() (string, bool) }); ok {
			name, _ := c.Consuming()
			names = append(names, name)
		}
	}
	return names
}
