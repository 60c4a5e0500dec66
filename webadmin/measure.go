package webadmin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/webadmin/task"
)

// figures are what the server counts of itself.
type figures struct {
	*metrics.Set
	requests *prometheus.CounterVec
	guesses  prometheus.Counter
}

func newFigures(tasks *task.Manager) *figures {
	set := metrics.New()
	set.MustRegister(&taskCollector{tasks})
	return &figures{
		Set:      set,
		requests: set.CounterVec("mailetd_webadmin_requests_total", "Requests to webadmin, by status.", "code"),
		guesses:  set.Counter("mailetd_webadmin_auth_failures_total", "Requests to webadmin with a wrong password or token."),
	}
}

// answered counts a request.
func (f *figures) answered(status int) { f.requests.WithLabelValues(strconv.Itoa(status)).Inc() }

// taskCollector counts the tasks when somebody looks.
type taskCollector struct{ tasks *task.Manager }

var taskCount = prometheus.NewDesc("mailetd_tasks", "Tasks that are remembered, by status.", []string{"status"}, nil)

// Describe implements prometheus.Collector.
func (*taskCollector) Describe(ch chan<- *prometheus.Desc) { ch <- taskCount }

// Collect implements prometheus.Collector.
func (c *taskCollector) Collect(ch chan<- prometheus.Metric) {
	counts := map[task.Status]int{}
	c.tasks.List(func(t task.Snapshot) bool {
		counts[t.Status]++
		return false
	})
	for _, status := range task.Statuses {
		ch <- prometheus.MustNewConstMetric(taskCount, prometheus.GaugeValue, float64(counts[status]), string(status))
	}
}
