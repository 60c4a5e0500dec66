package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// taskState is what is shown of a task that runs.
type taskState struct {
	ID     string `json:"taskId"`
	Type   string `json:"type"`
	Status string `json:"status"`
	Info   struct {
		Initial   int64 `json:"initialCount"`
		Remaining int64 `json:"remainingCount"`
	} `json:"additionalInformation"`
}

func (t taskState) over() bool {
	return t.Status == "completed" || t.Status == "failed" || t.Status == "canceled"
}

// pollEvery is how often a task is looked at.
const pollEvery = 300 * time.Millisecond

// task follows the task whose id answer has, unless it is to be left alone.
func (a *admin) task(ctx context.Context, answer io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(answer, 1<<20))
	if err != nil {
		return err
	}
	var t taskState
	if err := json.Unmarshal(data, &t); err != nil || t.ID == "" {
		return fmt.Errorf("the server answers without a task: %s", lines(string(data)))
	}
	if a.detach {
		return a.show(strings.NewReader(string(data)), nil)
	}
	return a.awaitTask(ctx, []string{t.ID})
}

// awaitTask shows the progress of a task until it is over, and then the task.
func (a *admin) awaitTask(ctx context.Context, operands []string) error {
	began := time.Now()
	live := isTerminal(a.p.stderr) && !a.json
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		var raw json.RawMessage
		if err := a.api.call(ctx, http.MethodGet, "/tasks/"+url.PathEscape(operands[0]), nil, &raw); err != nil {
			return err
		}
		var t taskState
		if err := json.Unmarshal(raw, &t); err != nil {
			return err
		}
		if live {
			fmt.Fprintf(a.p.stderr, "\r\033[K%s", progress(t, time.Since(began)))
		}
		if t.over() {
			if live {
				fmt.Fprintln(a.p.stderr)
			}
			if err := a.show(strings.NewReader(string(raw)), nil); err != nil || t.Status == "completed" {
				return err
			}
			return fmt.Errorf("the task is %s; the reason is in the server's log", text(t.Status))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the task goes on; see: mailetd task show %s", text(t.ID))
		case <-tick.C:
		}
	}
}

// barWidth is the width of the bar of progress, in characters.
const barWidth = 30

// progress is a line about a task that has been running for a while.
func progress(t taskState, since time.Duration) string {
	line := text(t.Type) + " " + text(t.Status)
	if t.Info.Initial <= 0 {
		return line
	}
	done := min(max(t.Info.Initial-t.Info.Remaining, 0), t.Info.Initial)
	full := int(done * barWidth / t.Info.Initial)
	line += fmt.Sprintf(" [%s%s] %d/%d", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), done, t.Info.Initial)
	if done > 0 && done < t.Info.Initial {
		left := time.Duration(float64(since) / float64(done) * float64(t.Info.Initial-done))
		line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return line
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
