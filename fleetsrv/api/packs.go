package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/store"
)

func (a *API) listPacks(c *gin.Context) {
	packs, err := a.Content.Packs(c.Request.Context(), who(c).Scope)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"packs": many(packs)})
}

func (a *API) packView(c *gin.Context, name string) (Pack, error) {
	packs, err := a.Content.Packs(c.Request.Context(), who(c).Scope)
	if err != nil {
		return Pack{}, err
	}
	for _, p := range packs {
		if p.Name == name {
			return p, nil
		}
	}
	return Pack{}, fmt.Errorf("read pack %s: %w", name, store.ErrNotFound)
}

// answerPack gives hosts the change and answers the pack as it stands.
func (a *API) answerPack(c *gin.Context, status int, name string) {
	err := a.changed(c)
	var v Pack
	if err == nil {
		v, err = a.packView(c, name)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(status, v)
}

func (a *API) getPack(c *gin.Context) {
	kept, err := a.Store.Pack(c.Request.Context(), who(c).Scope, c.Param("name"))
	var v Pack
	if err == nil {
		v, err = a.packView(c, kept.Name)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, struct {
		Pack
		Text string `json:"text"`
	}{v, written(kept.Written, kept.Text)})
}

type packInput struct {
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Targets []string `json:"targets"`
	Enabled *bool    `json:"enabled"`
}

func (a *API) checkPacks(c *gin.Context) {
	var in packInput
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Name == "" {
		in.Name = "pack"
	}
	_, packs, problems := a.Content.ParsePacks(c.Request.Context(), in.Name, in.Text)
	c.JSON(http.StatusOK, gin.H{"ok": !hard(problems), "problems": many(problems), "packs": many(packs)})
}

// addPacks adds the packs of a text, all or none. What is wrong is answered.
func (a *API) addPacks(c *gin.Context, in packInput, one bool) ([]store.Pack, []Problem, error) {
	if in.Targets == nil {
		in.Targets = []string{store.GroupAll}
	}
	packs, _, problems := a.Content.ParsePacks(c.Request.Context(), in.Name, in.Text)
	switch {
	case hard(problems):
		return nil, nil, &invalidContent{problems}
	case one && len(packs) != 1:
		return nil, nil, badRequest("the text holds %d packs: import it instead (POST /packs/import)", len(packs))
	case one && packs[0].Name != in.Name:
		return nil, nil, badRequest("the text calls the pack %s, and the name given is %s: make them the same, or leave the name out of the text", packs[0].Name, in.Name)
	}
	if err := a.targets(c, in.Targets); err != nil {
		return nil, nil, err
	}
	names := make([]string, len(packs))
	for i := range packs {
		names[i], packs[i].Targets, packs[i].Disabled = packs[i].Name, in.Targets, in.Enabled != nil && !*in.Enabled
	}
	err := a.audit(c, "add packs", strings.Join(names, " "), "given to "+strings.Join(in.Targets, ", "))
	if err == nil {
		err = a.Store.AddPacks(c.Request.Context(), who(c).Scope, packs)
	}
	if errors.Is(err, store.ErrExists) {
		err = &problem{http.StatusConflict, err.Error() + ": there cannot be two packs of one name; rename this one, or change the one that is there"}
	}
	return packs, problems, err
}

func (a *API) postPack(c *gin.Context) {
	var in packInput
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Name == "" {
		a.fail(c, badRequest("the field name is empty: a pack needs a name"))
		return
	}
	if _, _, err := a.addPacks(c, in, true); err != nil {
		a.fail(c, err)
		return
	}
	a.answerPack(c, http.StatusCreated, in.Name)
}

func (a *API) importPacks(c *gin.Context) {
	var in packInput
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	packs, problems, err := a.addPacks(c, in, false)
	if err == nil {
		err = a.changed(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []Pack{}
	for _, p := range packs {
		v, err := a.packView(c, p.Name)
		if err != nil {
			a.fail(c, err)
			return
		}
		out = append(out, v)
	}
	c.JSON(http.StatusCreated, gin.H{"packs": out, "problems": many(problems)})
}

// thePack reads the pack that a request changes.
func (a *API) thePack(c *gin.Context) (store.Pack, error) {
	p, err := a.Store.Pack(c.Request.Context(), who(c).Scope, c.Param("name"))
	if err == nil {
		err = mayGive(c, p.Targets)
	}
	return p, err
}

func (a *API) putPack(c *gin.Context) {
	var in packInput
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	kept, err := a.thePack(c)
	if err == nil {
		err = editable("pack "+kept.Name, kept.Source)
	}
	if err == nil && (in.Targets != nil || in.Enabled != nil) {
		err = badRequest("targets and enabled are changed by PATCH")
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	packs, _, problems := a.Content.ParsePacks(c.Request.Context(), kept.Name, in.Text)
	switch {
	case hard(problems):
		err = &invalidContent{problems}
	case len(packs) != 1:
		err = badRequest("the text holds %d packs: one is edited at a time", len(packs))
	case packs[0].Name != kept.Name:
		err = badRequest("the text is of pack %s, not %s: a name stays; add the text as a new pack instead", packs[0].Name, kept.Name)
	}
	if err == nil {
		err = a.audit(c, "edit pack", kept.Name, "")
	}
	if err == nil {
		_, err = a.Store.PutPack(c.Request.Context(), who(c).Scope, packs[0])
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerPack(c, http.StatusOK, kept.Name)
}

func (a *API) patchPack(c *gin.Context) {
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
	kept, err := a.thePack(c)
	if err == nil && in.Targets != nil {
		err = a.targets(c, *in.Targets)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	ctx, sc := c.Request.Context(), who(c).Scope
	if in.Targets != nil && !sameSet(*in.Targets, kept.Targets) {
		err = a.audit(c, "give pack to groups", kept.Name, strings.Join(kept.Targets, ", ")+" → "+strings.Join(*in.Targets, ", "))
		if err == nil {
			err = a.Store.TargetPack(ctx, sc, kept.Name, *in.Targets)
		}
	}
	if err == nil && in.Enabled != nil {
		err = a.audit(c, onOff(*in.Enabled)+" pack", kept.Name, "")
		if err == nil {
			err = a.Store.EnablePack(ctx, sc, kept.Name, *in.Enabled)
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerPack(c, http.StatusOK, kept.Name)
}

func (a *API) deletePack(c *gin.Context) {
	kept, err := a.thePack(c)
	if err == nil {
		err = editable("pack "+kept.Name, kept.Source)
	}
	if err == nil {
		err = a.audit(c, "delete pack", kept.Name, "")
	}
	if err == nil {
		err = a.Store.DeletePack(c.Request.Context(), who(c).Scope, kept.Name)
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

// packQuery finds the query of a pack that a request names.
func (a *API) packQuery(c *gin.Context) (string, PackQuery, error) {
	kept, err := a.thePack(c)
	if err != nil {
		return "", PackQuery{}, err
	}
	v, err := a.packView(c, kept.Name)
	if err != nil {
		return "", PackQuery{}, err
	}
	for _, q := range v.Queries {
		if q.Name == c.Param("query") {
			return v.Name, q, nil
		}
	}
	return "", PackQuery{}, fmt.Errorf("read query %s of pack %s: %w", c.Param("query"), v.Name, store.ErrNotFound)
}

func (a *API) approvePackQuery(c *gin.Context) {
	v, err := version(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	pack, q, err := a.packQuery(c)
	if err == nil && q.Version != v {
		err = fmt.Errorf("approve query %s of pack %s: it has another version now: %w", q.Name, pack, store.ErrConflict)
	}
	if err == nil {
		err = a.audit(c, "approve query of pack", pack+" "+q.Name, "version "+v)
	}
	if err == nil {
		err = a.Store.ApprovePackQuery(c.Request.Context(), who(c).Scope, store.PackApproval{Pack: pack, Query: q.Name, Version: v, By: who(c).Name, At: a.Now()})
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerPack(c, http.StatusOK, pack)
}

func (a *API) unapprovePackQuery(c *gin.Context) {
	pack, q, err := a.packQuery(c)
	if err == nil {
		err = a.audit(c, "withdraw approval of query of pack", pack+" "+q.Name, "")
	}
	if err == nil {
		err = a.Store.UnapprovePackQuery(c.Request.Context(), who(c).Scope, pack, q.Name)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerPack(c, http.StatusOK, pack)
}

func (a *API) checkQuery(c *gin.Context) {
	var in struct {
		SQL string `json:"sql"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	if len(in.SQL) > maxSQL {
		a.fail(c, badRequest("the statement is longer than %d bytes", maxSQL))
		return
	}
	classes, problems := a.Content.CheckSQL(c.Request.Context(), in.SQL)
	if len(problems) == 0 {
		if err := mayRead(who(c), classes); err != nil {
			problems = append(problems, Problem{Message: err.Error(), Next: "leave that table or column out"})
		}
	}
	c.JSON(http.StatusOK, gin.H{"ok": len(problems) == 0, "classes": many(classes), "problems": many(problems)})
}
