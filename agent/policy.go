package agent

import (
	"sync/atomic"

	"github.com/aiedr/edr/wire"
)

// policy says whether an action that a rule asks for may take effect: only in
// a version of the rule that a person with the response right has approved,
// and never beyond the host's own -respond.
type policy struct {
	respond  string // observe, approve or auto
	approved atomic.Pointer[map[string]string]
}

func newPolicy(respond string) *policy {
	p := &policy{respond: respond}
	p.set(nil)
	return p
}

func (p *policy) set(approvals []wire.Approval) {
	m := make(map[string]string, len(approvals))
	for _, a := range approvals {
		m[a.Rule] = a.Version
	}
	p.approved.Store(&m)
}

// verdict is "act", or the state that an action is reported in when nothing
// happens, with the reason.
func (p *policy) verdict(r wire.RuleRef) (state, why string) {
	switch {
	case p.respond == "observe":
		return "observed", "this host only observes (-respond observe)"
	case (*p.approved.Load())[r.ID] != r.Version:
		return "observed", "this version of the rule is not approved to act"
	case p.respond == "approve":
		return "awaiting approval", "this host acts when a person says so (-respond approve)"
	}
	return "act", ""
}

// mayAct says whether any rule could act on this host now: capture is then
// read more often.
func (p *policy) mayAct() bool {
	return p.respond == "auto" && len(*p.approved.Load()) > 0
}
