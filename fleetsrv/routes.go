package fleetsrv

import (
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/web"
)

// policy lets a page run its own scripts and nothing else: what a host sends
// stays text even where a page should err. Inline styles are the console's
// component library's.
const policy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
	"connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func (s *Server) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.UseRawPath, r.UnescapePathValues = true, true
	_ = r.SetTrustedProxies(nil) // cannot fail with none: the peer's address is the connection's
	r.Use(s.frame)
	s.api.Mount(r)
	s.mountAgents(r)
	r.GET("/healthz", s.healthz)
	r.GET("/version", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"version": s.o.Version}) })
	r.GET("/metrics", s.serveMetrics)
	r.NoRoute(s.console())
	r.NoMethod(func(c *gin.Context) {
		c.JSON(http.StatusMethodNotAllowed, apiError("method_not_allowed", "this path has no method "+c.Request.Method))
	})
	return r
}

func apiError(code, message string) gin.H {
	return gin.H{"error": gin.H{"code": code, "message": message}}
}

// frame is around every request: its time, its headers, a panic of a handler.
func (s *Server) frame(c *gin.Context) {
	start := time.Now()
	rc := http.NewResponseController(c.Writer)
	_ = rc.SetReadDeadline(start.Add(requestTime)) // a test's writer has no deadlines
	_ = rc.SetWriteDeadline(start.Add(2 * requestTime))
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.o.Log.Error("a handler failed", "path", c.FullPath(), "panic", p)
			if !c.Writer.Written() {
				c.AbortWithStatusJSON(http.StatusInternalServerError, apiError("internal", "the server could not do this; its log has the reason"))
			}
		}
		s.metrics.request(c.FullPath(), c.Request.Method, c.Writer.Status(), time.Since(start))
		if s.o.Log.Enabled(c.Request.Context(), slog.LevelDebug) {
			s.o.Log.Debug("request", "method", c.Request.Method, "path", c.Request.URL.Path, "status", c.Writer.Status(),
				"took", time.Since(start), "address", c.RemoteIP())
		}
	}()
	c.Next()
}

func (s *Server) healthz(c *gin.Context) {
	if err := s.o.Store.Ping(c.Request.Context()); err != nil {
		s.o.Log.Error("the database does not answer", "err", err)
		c.JSON(http.StatusServiceUnavailable, gin.H{"ok": false, "error": "the database does not answer"})
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

const notBuilt = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>edr</title></head><body>
<h1>The console is not built into this server</h1>
<p>The server works; its API is under <code>/api/v1</code>. To build the console you need Node 20 or later:</p>
<pre>make web
go build -o edr-server ./cmd/server</pre>
</body></html>
`

// console serves the built console; a path that is no file is one of its
// pages, which index.html shows.
func (s *Server) console() gin.HandlerFunc {
	files, built := web.Dist()
	return func(c *gin.Context) {
		p := c.Request.URL.Path
		switch {
		case strings.HasPrefix(p, "/api/") || strings.HasPrefix(p, "/agent/"):
			c.JSON(http.StatusNotFound, apiError("not_found", "there is no "+p+"; see /api/v1/openapi.json"))
			return
		case c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead:
			c.JSON(http.StatusMethodNotAllowed, apiError("method_not_allowed", "this path has no method "+c.Request.Method))
			return
		case !built:
			c.Data(http.StatusServiceUnavailable, "text/html; charset=utf-8", []byte(notBuilt))
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+p), "/")
		if info, err := fs.Stat(files, name); name == "" || err != nil || info.IsDir() {
			if strings.HasPrefix(name, "assets/") {
				c.String(http.StatusNotFound, "no such file; reload the page")
				return
			}
			name = "index.html"
		}
		if strings.HasPrefix(name, "assets/") {
			c.Header("Cache-Control", "public, max-age=31536000, immutable") // named by their content
		} else {
			c.Header("Cache-Control", "no-cache")
		}
		if name == "index.html" {
			// http.ServeFileFS would redirect it to "./".
			b, err := fs.ReadFile(files, name)
			if err != nil {
				c.String(http.StatusInternalServerError, "the console's first page cannot be read; build it anew: make web")
				return
			}
			c.Data(http.StatusOK, "text/html; charset=utf-8", b)
			return
		}
		http.ServeFileFS(c.Writer, c.Request, files, name)
	}
}
