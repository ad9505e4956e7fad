package sqlite

import (
	"strconv"

	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/wire"
)

// overQuota turns a hit that would make one alert too many for its host into
// one more of the alert that counts such hits; found says that there is one
// already. The hit itself is kept whole beside it.
func (t *tx) overQuota(sc store.Scope, host string, h *wire.Hit, id *int64) (found bool, err error) {
	var text string
	if _, err := t.get("SELECT value FROM settings WHERE tenant = ? AND key = ?", []any{sc.Tenant, store.SettingAlertQuota}, &text); err != nil {
		return false, err
	}
	quota, err := strconv.ParseInt(text, 10, 64)
	if err != nil || quota <= 0 { // never set
		return false, nil
	}
	var have int64
	if _, err := t.get("SELECT count(*) FROM alerts WHERE host = ? AND status IN ('open','acknowledged')", []any{host}, &have); err != nil {
		return false, err
	}
	if have < quota {
		return false, nil
	}
	h.Rule = wire.RuleRef{ID: store.QuotaRule, Name: "alert quota", Version: "1"}
	h.Severity, h.Title, h.Attack = wire.High, "More alerts than this host may have", nil
	h.Description = "The host has " + text + " alerts that are not closed. What it sends beyond that is counted here, and kept among the events. Close alerts, quieten the rule that makes them, or raise the quota in the settings."
	h.Table, h.Entity, h.Event, h.Process, h.Ancestry, h.Actions = "edr_alerts", "alert quota", nil, nil, nil, nil
	return t.get("SELECT id FROM alerts WHERE host = ? AND rule = ? AND tenant = ? AND status <> 'closed' ORDER BY id DESC LIMIT 1",
		[]any{host, store.QuotaRule, sc.Tenant}, id)
}
