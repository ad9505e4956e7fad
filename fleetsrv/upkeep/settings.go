// Package upkeep knows the server's settings that operators change, and
// deletes what is older than they say.
package upkeep

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aiedr/edr/fleetsrv/store"
)

// The settings' names.
const (
	RetentionResults = "retention_results_days"
	RetentionHits    = "retention_hits_days"
	RetentionAlerts  = "retention_alerts_days"
	RetentionQueries = "retention_queries_days"
	RetentionUnsent  = "retention_unsent_days"
	SessionHours     = "session_hours"
	AlertQuota       = store.SettingAlertQuota
)

// Setting is one whole number that an operator may set.
type Setting struct {
	Name    string `json:"-"`
	Min     int64  `json:"min"`
	Max     int64  `json:"max"`
	Default int64  `json:"default"`
	Unit    string `json:"unit"`
	Doc     string `json:"doc"`
}

// Settings lists them.
func Settings() []Setting {
	return []Setting{
		{RetentionResults, 1, 3650, 30, "days", "rows of scheduled queries' results are deleted after so long"},
		{RetentionHits, 1, 3650, 90, "days", "hits are deleted from the events after so long; their alerts stay"},
		{RetentionAlerts, 1, 3650, 365, "days", "closed alerts are deleted, with their notes, so long after their last hit"},
		{RetentionQueries, 1, 3650, 14, "days", "live queries and their rows are deleted after so long"},
		{RetentionUnsent, 0, 3650, 0, "days", "a result that a sink has not been sent is held back until then, and counted as missed when it goes; 0 holds it back for good"},
		{SessionHours, 1, 720, 12, "hours", "a login ends after so long; those that are open keep their end"},
		{AlertQuota, 10, 1000000, 10000, "alerts", "a host may have so many alerts that are not closed; what it sends beyond is counted in one alert and kept among the events"},
	}
}

// Find is the setting of a name.
func Find(name string) (Setting, error) {
	all := Settings()
	if i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	return Setting{}, fmt.Errorf("there is no setting %q; the settings are %s", name, strings.Join(names, ", "))
}

// Check refuses a value outside a setting's bounds.
func (s Setting) Check(v int64) error {
	if v < s.Min || v > s.Max {
		return fmt.Errorf("%s: %d is out of bounds; give %s from %d to %d", s.Name, v, s.Unit, s.Min, s.Max)
	}
	return nil
}

// Values is what is needed of the store.
type Values interface {
	Setting(ctx context.Context, sc store.Scope, key string) (string, error)
	SetSetting(ctx context.Context, sc store.Scope, key, value string) error
}

// Get reads a setting, its default where it was never set.
func Get(ctx context.Context, v Values, name string) (int64, error) {
	s, err := Find(name)
	if err != nil {
		return 0, err
	}
	text, err := v.Setting(ctx, store.Everything(), name)
	if err != nil || text == "" {
		return s.Default, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || s.Check(n) != nil {
		return s.Default, fmt.Errorf("read setting %s: the database has %q; set it anew", name, text)
	}
	return n, nil
}

// Init writes the settings that the store itself reads, where they were never set.
func Init(ctx context.Context, v Values) error {
	text, err := v.Setting(ctx, store.Everything(), AlertQuota)
	if err != nil || text != "" {
		return err
	}
	s, err := Find(AlertQuota)
	if err != nil {
		return err
	}
	return v.SetSetting(ctx, store.Everything(), AlertQuota, strconv.FormatInt(s.Default, 10))
}

// SessionLife is how long a login lasts.
func SessionLife(ctx context.Context, v Values) (time.Duration, error) {
	n, err := Get(ctx, v, SessionHours)
	return time.Duration(n) * time.Hour, err
}
