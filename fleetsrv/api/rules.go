package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/store"
)

func (a *API) listRules(c *gin.Context) {
	rules, err := a.Content.Rules(c.Request.Context(), who(c).Scope)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"rules": many(rules)})
}

// ruleView finds a rule as it is shown.
func (a *API) ruleView(c *gin.Context, id string) (Rule, error) {
	rules, err := a.Content.Rules(c.Request.Context(), who(c).Scope)
	if err != nil {
		return Rule{}, err
	}
	for _, r := range rules {
		if r.ID == id {
			return r, nil
		}
	}
	return Rule{}, fmt.Errorf("read rule %s: %w", id, store.ErrNotFound)
}

// changed gives hosts a change of the content. That it does not fit is told;
// the change is kept, and hosts keep what they had.
func (a *API) changed(c *gin.Context) error {
	err := a.Content.Changed(c.Request.Context())
	var large interface{ TooLarge() bool }
	if errors.As(err, &large) && large.TooLarge() {
		return &problem{http.StatusConflict, err.Error()}
	}
	return err
}

// answerRule gives hosts the change and answers the rule as it stands.
func (a *API) answerRule(c *gin.Context, id string) {
	err := a.changed(c)
	var v Rule
	if err == nil {
		v, err = a.ruleView(c, id)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, v)
}

// written is a text as a person typed it, or else as it is kept, in lines.
func written(typed string, kept json.RawMessage) string {
	if typed != "" {
		return typed
	}
	var v any
	if json.Unmarshal(kept, &v) != nil {
		return string(kept)
	}
	b, err := json.MarshalIndent(json.RawMessage(kept), "", "  ")
	if err != nil {
		return string(kept)
	}
	return string(b)
}

func (a *API) getRule(c *gin.Context) {
	v, err := a.ruleView(c, c.Param("id"))
	if err != nil {
		a.fail(c, err)
		return
	}
	kept, err := a.Store.Rule(c.Request.Context(), who(c).Scope, v.ID)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, struct {
		Rule
		Text string `json:"text"`
	}{v, written(kept.Written, kept.Text)})
}

func (a *API) checkRules(c *gin.Context) {
	var in struct {
		Text string `json:"text"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	_, rules, problems := a.Content.ParseRules(in.Text)
	c.JSON(http.StatusOK, gin.H{"ok": !hard(problems), "problems": many(problems), "rules": many(rules)})
}

// targets checks the groups that something is to be given to.
func (a *API) targets(c *gin.Context, groups []string) error {
	if len(groups) == 0 {
		return badRequest("targets is empty: name groups, or [%q]", store.GroupAll)
	}
	seen := map[string]bool{}
	for _, g := range groups {
		if seen[g] {
			return badRequest("targets: %s is there twice", g)
		}
		seen[g] = true
		if g == store.GroupAll {
			continue
		}
		if _, err := a.Store.Group(c.Request.Context(), store.Everything(), g); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return badRequest("targets: there is no group %q; see GET /groups", g)
			}
			return err
		}
	}
	return mayGive(c, groups)
}

// postRules adds the rules of a text, all or none.
func (a *API) postRules(c *gin.Context) {
	var in struct {
		Text    string   `json:"text"`
		Targets []string `json:"targets"`
		Enabled *bool    `json:"enabled"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Targets == nil {
		in.Targets = []string{store.GroupAll}
	}
	rules, _, problems := a.Content.ParseRules(in.Text)
	if hard(problems) {
		a.fail(c, &invalidContent{problems})
		return
	}
	if err := a.targets(c, in.Targets); err != nil {
		a.fail(c, err)
		return
	}
	ids := make([]string, len(rules))
	for i := range rules {
		ids[i], rules[i].Targets = rules[i].ID, in.Targets
		if in.Enabled != nil {
			rules[i].Enabled = *in.Enabled
		}
	}
	err := a.audit(c, "add rules", strings.Join(ids, " "), "given to "+strings.Join(in.Targets, ", "))
	if err == nil {
		err = a.Store.AddRules(c.Request.Context(), who(c).Scope, rules)
	}
	if errors.Is(err, store.ErrExists) {
		err = &problem{http.StatusConflict, err.Error() + ": give the rule an id of its own, or change the one that is there"}
	}
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []Rule{}
	for _, id := range ids {
		v, err := a.ruleView(c, id)
		if err != nil {
			a.fail(c, err)
			return
		}
		out = append(out, v)
	}
	c.JSON(http.StatusCreated, gin.H{"rules": out})
}

// editable refuses to edit what the console did not make.
func editable(what, source string) error {
	switch source {
	case store.Console:
		return nil
	case store.Local:
		return &problem{http.StatusConflict, what + " comes from the server's content folder: edit the file there and start the server again, or copy it under another name"}
	}
	return &problem{http.StatusConflict, what + " is built in and cannot be edited or deleted: disable it, and copy it under another name to change it"}
}

// theRule reads the rule that a request changes.
func (a *API) theRule(c *gin.Context) (store.Rule, error) {
	r, err := a.Store.Rule(c.Request.Context(), who(c).Scope, c.Param("id"))
	if err == nil {
		err = mayGive(c, r.Targets)
	}
	return r, err
}

func (a *API) putRule(c *gin.Context) {
	var in struct {
		Text string `json:"text"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	kept, err := a.theRule(c)
	if err == nil {
		err = editable("rule "+kept.ID, kept.Source)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	rules, _, problems := a.Content.ParseRules(in.Text)
	switch {
	case hard(problems):
		err = &invalidContent{problems}
	case len(rules) != 1:
		err = badRequest("the text holds %d rules: one is edited at a time", len(rules))
	case rules[0].ID != kept.ID:
		err = badRequest("the text is of rule %s, not %s: an id stays; add the text as a new rule instead", rules[0].ID, kept.ID)
	}
	if err == nil {
		err = a.audit(c, "edit rule", kept.ID, "version "+kept.Version+" → "+rules[0].Version)
	}
	if err == nil {
		_, err = a.Store.PutRule(c.Request.Context(), who(c).Scope, rules[0])
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, kept.ID)
}

func (a *API) patchRule(c *gin.Context) {
	var in struct {
		Enabled *bool     `json:"enabled"`
		Targets *[]string `json:"targets"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Enabled == nil && in.Targets == nil {
		a.fail(c, badRequest("nothing is to be changed: give enabled or targets"))
		return
	}
	kept, err := a.theRule(c)
	if err == nil && in.Targets != nil {
		err = a.targets(c, *in.Targets)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	if in.Targets != nil && !sameSet(*in.Targets, kept.Targets) {
		err = a.audit(c, "give rule to groups", kept.ID, strings.Join(kept.Targets, ", ")+" → "+strings.Join(*in.Targets, ", "))
		if err == nil {
			err = a.Store.TargetRule(ctx, sc, kept.ID, *in.Targets)
		}
	}
	if err == nil && in.Enabled != nil {
		err = a.audit(c, onOff(*in.Enabled)+" rule", kept.ID, "")
		if err == nil {
			err = a.Store.EnableRule(ctx, sc, kept.ID, *in.Enabled)
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, kept.ID)
}

func onOff(on bool) string {
	if on {
		return "enable"
	}
	return "disable"
}

func sameSet(a, b []string) bool {
	in := map[string]bool{}
	for _, v := range a {
		in[v] = true
	}
	for _, v := range b {
		if !in[v] {
			return false
		}
	}
	return len(a) == len(b)
}

func (a *API) deleteRule(c *gin.Context) {
	kept, err := a.theRule(c)
	if err == nil {
		err = editable("rule "+kept.ID, kept.Source)
	}
	if err == nil {
		err = a.audit(c, "delete rule", kept.ID, "version "+kept.Version)
	}
	if err == nil {
		err = a.Store.DeleteRule(c.Request.Context(), who(c).Scope, kept.ID)
	}
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

// version reads the version that an approval names.
func version(c *gin.Context) (string, error) {
	var in struct {
		Version string `json:"version"`
	}
	if err := decode(c, &in); err != nil {
		return "", err
	}
	if in.Version == "" {
		return "", badRequest("the field version is empty: an approval names the version that was read")
	}
	return in.Version, nil
}

func (a *API) approveRule(c *gin.Context) {
	v, err := version(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	kept, err := a.theRule(c)
	if err == nil {
		err = a.audit(c, "approve rule", kept.ID, "version "+v)
	}
	if err == nil {
		err = a.Store.ApproveRule(c.Request.Context(), who(c).Scope, kept.ID, v, who(c).Name, a.Now())
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, kept.ID)
}

func (a *API) unapproveRule(c *gin.Context) {
	kept, err := a.theRule(c)
	if err == nil {
		err = a.audit(c, "withdraw approval of rule", kept.ID, "")
	}
	if err == nil {
		err = a.Store.UnapproveRule(c.Request.Context(), who(c).Scope, kept.ID)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerRule(c, kept.ID)
}
