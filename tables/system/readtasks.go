package system

import (
	"context"
	"path"

	"github.com/aiedr/edr/tables"
)

// ReadTasks reads the rows of scheduled_tasks for who compares them over time.
// Lacks are what could not be read while the rest was.
func ReadTasks(ctx context.Context, host *tables.Host) (tasks []Task, lacks []error, err error) {
	if err := host.Needs(tables.Linux); err != nil {
		return nil, nil, err
	}
	q := &tables.Query{Host: host}
	for t, err := range scanTasks(ctx, q) {
		if err != nil {
			return nil, nil, err
		}
		tasks = append(tasks, t)
	}
	lacks, _ = q.Warnings()
	return tasks, lacks, nil
}

// TaskPlaces are the files and folders that scheduled_tasks reads tasks from,
// as far as they do not depend on what is in them.
func TaskPlaces(host *tables.Host) []string {
	places := []string{
		"/etc/crontab", "/etc/anacrontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly",
		"/etc/cron.monthly", "/etc/cron.yearly", "/var/spool/cron", "/var/spool/at",
	}
	places = append(append(places, systemUnits...), userUnits...)
	seen := map[string]bool{}
	for _, u := range accounts(&tables.Query{Host: host}) {
		if u.home == "/" || seen[u.home] {
			continue
		}
		seen[u.home] = true
		for _, d := range homeUnits {
			places = append(places, path.Join(u.home, d))
		}
	}
	return places
}
