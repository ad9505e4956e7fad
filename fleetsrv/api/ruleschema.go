package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/queries/rule"
)

type ruleField struct {
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	Kind    string   `json:"kind"` // text, number or list
	Doc     string   `json:"doc"`
}

type ruleType struct {
	Type   rule.Type   `json:"type"`
	Fields []ruleField `json:"fields"`
}

// ruleSchema tells an editor what conditions can compare, by type of rule.
func (a *API) ruleSchema(c *gin.Context) {
	types := []ruleType{}
	for _, t := range rule.Types() {
		fields := []ruleField{}
		for _, f := range rule.Fields(t) {
			fields = append(fields, ruleField{Name: f.Name, Aliases: many(f.Aliases), Kind: f.Kind, Doc: f.Doc})
		}
		types = append(types, ruleType{Type: t, Fields: fields})
	}
	c.JSON(http.StatusOK, gin.H{"types": types})
}
