package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/tables"
)

// Approval is who approved the present version of a rule.
type Approval struct {
	By   string    `json:"by"`
	Time time.Time `json:"time"`
}

// Rule is a rule as it is shown.
type Rule struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Type        string    `json:"type"`
	Severity    string    `json:"severity"`
	Enabled     bool      `json:"enabled"`
	Conditions  []string  `json:"conditions"`
	Match       string    `json:"match"`
	Actions     []string  `json:"actions"`
	Attack      []string  `json:"attack"`
	Version     string    `json:"version"`
	Approved    *Approval `json:"approved"`
	Source      string    `json:"source"`
	Platform    []string  `json:"platform,omitempty"`
	Targets     []string  `json:"targets"`  // groups that get it
	Editable    bool      `json:"editable"` // made in the console
	// NeedsApproval says that it has actions that take effect only if approved.
	NeedsApproval bool `json:"needs_approval"`
	// Error says why a kept rule does not load; it is then not given to hosts.
	Error string `json:"error,omitempty"`
}

// Pack is a pack as it is shown.
type Pack struct {
	Name      string      `json:"name"`
	Platform  string      `json:"platform"`
	Source    string      `json:"source"`
	Enabled   bool        `json:"enabled"`
	Targets   []string    `json:"targets"`
	Editable  bool        `json:"editable"`
	Version   string      `json:"version"`
	Discovery []string    `json:"discovery"`
	Queries   []PackQuery `json:"queries"`
	Error     string      `json:"error,omitempty"`
}

// PackQuery is one scheduled query of a pack.
type PackQuery struct {
	Name          string    `json:"name"`
	SQL           string    `json:"sql"`
	Interval      int64     `json:"interval"` // seconds
	Snapshot      bool      `json:"snapshot"`
	Description   string    `json:"description"`
	Severity      string    `json:"severity,omitempty"`
	Title         string    `json:"title,omitempty"`
	Attack        []string  `json:"attack"`
	Actions       []string  `json:"actions"`
	When          string    `json:"when,omitempty"`
	Platform      string    `json:"platform,omitempty"`
	Version       string    `json:"version"` // hash that an approval names
	Classes       []string  `json:"classes"`
	Approved      *Approval `json:"approved"`
	NeedsApproval bool      `json:"needs_approval"`
}

// Problem is something wrong, or with Warning worth knowing, in a text.
type Problem struct {
	Line    int    `json:"line"`   // from 1; 0 where it has none
	Column  int    `json:"column"` // likewise
	Message string `json:"message"`
	Next    string `json:"next"` // what to do about it
	Warning bool   `json:"warning"`
}

// CheckedRule is a rule of a text that was checked.
type CheckedRule struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Severity string `json:"severity"`
	Version  string `json:"version"`
}

// CheckedPack is a pack of a text that was checked.
type CheckedPack struct {
	Name    string `json:"name"`
	Queries int    `json:"queries"`
}

func (a *API) listTables(c *gin.Context) {
	s, err := tables.Schemas()
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, many(s))
}
