package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/export"
)

// listSinks tells where hits and results flow to, and how each stands. Sinks
// are configured in the server's file; nothing here holds a secret.
func (a *API) listSinks(c *gin.Context) {
	sinks := []export.State{}
	if a.Sinks != nil {
		var err error
		if sinks, err = a.Sinks(c.Request.Context()); err != nil {
			a.fail(c, err)
			return
		}
	}
	c.JSON(http.StatusOK, gin.H{"sinks": sinks})
}
