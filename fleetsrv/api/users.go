package api

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/group"
	"github.com/aiedr/edr/fleetsrv/store"
)

// UserName is what a user's name may be.
var UserName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

type userView struct {
	Name       string     `json:"name"`
	Role       string     `json:"role"`
	Classes    []string   `json:"classes"`
	Groups     []string   `json:"groups"`
	MustChange bool       `json:"must_change_password"`
	CreatedAt  *time.Time `json:"created_at"`
	LastLogin  *time.Time `json:"last_login"`
	Tokens     int        `json:"tokens"`
}

func viewUser(u store.User) userView {
	return userView{u.Name, u.Role, many(u.Classes), many(u.Groups), u.MustChange, at(u.CreatedAt), at(u.LastLogin), u.Tokens}
}

func (a *API) listUsers(c *gin.Context) {
	us, err := a.Store.ListUsers(c.Request.Context(), store.Everything())
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []userView{}
	for _, u := range us {
		out = append(out, viewUser(u))
	}
	c.JSON(http.StatusOK, gin.H{"users": out})
}

// NewUser checks what a new user is to be and hashes the password.
func NewUser(name, password, role string, classes []string, mustChange bool, now time.Time) (store.User, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if !UserName.MatchString(name) {
		return store.User{}, badRequest("the name %q will not do: use up to 64 letters a-z, digits, and . _ @ -, beginning with a letter or digit", name)
	}
	r, err := auth.ParseRole(role)
	if err != nil {
		return store.User{}, badRequest("%v", err)
	}
	if classes == nil {
		classes = r.DefaultClasses()
	}
	if err := auth.CheckClasses(classes); err != nil {
		return store.User{}, badRequest("%v", err)
	}
	if err := auth.CheckPassword(name, password); err != nil {
		return store.User{}, badRequest("%v", err)
	}
	hash, err := auth.HashPassword(password)
	return store.User{Name: name, Hash: hash, Role: role, Classes: classes, Groups: []string{store.GroupAll}, MustChange: mustChange, CreatedAt: now}, err
}

func (a *API) postUser(c *gin.Context) {
	var in struct {
		Name     string   `json:"name"`
		Password string   `json:"password"`
		Role     string   `json:"role"`
		Classes  []string `json:"classes"`
		Groups   []string `json:"groups"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	u, err := NewUser(in.Name, in.Password, in.Role, in.Classes, true, a.Now())
	if err == nil && in.Groups != nil {
		u.Groups, err = a.grant(c, in.Groups)
	}
	if err == nil {
		err = a.audit(c, "add user", u.Name, u.Role+"; groups "+strings.Join(u.Groups, ","))
	}
	if err == nil {
		err = a.Store.AddUser(c.Request.Context(), store.Everything(), u)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, viewUser(u))
}

func (a *API) patchUser(c *gin.Context) {
	var in struct {
		Password *string   `json:"password"`
		Role     *string   `json:"role"`
		Classes  *[]string `json:"classes"`
		Groups   *[]string `json:"groups"`
	}
	if err := decode(c, &in); err != nil {
		a.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	u, err := a.Store.User(ctx, store.Everything(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	var what []string
	if in.Role != nil {
		if _, err := auth.ParseRole(*in.Role); err != nil {
			a.fail(c, badRequest("%v", err))
			return
		}
		if err := a.keepAnAdmin(c, u, *in.Role); err != nil {
			a.fail(c, err)
			return
		}
		u.Role = *in.Role
		what = append(what, "role "+u.Role)
	}
	if in.Classes != nil {
		if err := auth.CheckClasses(*in.Classes); err != nil {
			a.fail(c, badRequest("%v", err))
			return
		}
		u.Classes = *in.Classes
		what = append(what, "classes "+strings.Join(u.Classes, ","))
	}
	if in.Groups != nil {
		groups, err := a.grant(c, *in.Groups)
		if err == nil && !slices.Contains(groups, store.GroupAll) {
			err = a.keepAnAdmin(c, u, "")
		}
		if err != nil {
			a.fail(c, err)
			return
		}
		u.Groups = groups
		what = append(what, "groups "+strings.Join(u.Groups, ","))
	}
	if in.Password != nil {
		if err := auth.CheckPassword(u.Name, *in.Password); err != nil {
			a.fail(c, badRequest("%v", err))
			return
		}
		if u.Hash, err = auth.HashPassword(*in.Password); err != nil {
			a.fail(c, err)
			return
		}
		u.MustChange = u.Name != who(c).Name
		what = append(what, "password")
	}
	if len(what) == 0 {
		a.fail(c, badRequest("nothing is to be changed: give role, classes, groups or password"))
		return
	}
	if err := a.audit(c, "change user", u.Name, strings.Join(what, "; ")); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Store.UpdateUser(ctx, store.Everything(), u, true); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, viewUser(u))
}

// keepAnAdmin refuses to take the last administrator away.
func (a *API) keepAnAdmin(c *gin.Context, u store.User, newRole string) error {
	if u.Role != string(auth.Admin) || newRole == string(auth.Admin) || !slices.Contains(u.Groups, store.GroupAll) {
		return nil
	}
	us, err := a.Store.ListUsers(c.Request.Context(), store.Everything())
	if err != nil {
		return err
	}
	for _, other := range us {
		if other.Name != u.Name && other.Role == string(auth.Admin) && slices.Contains(other.Groups, store.GroupAll) {
			return nil
		}
	}
	return &problem{http.StatusConflict, u.Name + " is the last administrator: make another first"}
}

// grant checks the groups that a person is to see.
func (a *API) grant(c *gin.Context, groups []string) ([]string, error) {
	if len(groups) == 0 {
		return nil, badRequest("groups is empty: name groups, or [%q]", store.GroupAll)
	}
	for _, name := range groups {
		if name == store.GroupAll {
			continue
		}
		g, err := a.Store.Group(c.Request.Context(), store.Everything(), name)
		if errors.Is(err, store.ErrNotFound) {
			return nil, badRequest("there is no group %q; see GET /groups", name)
		}
		if err != nil {
			return nil, err
		}
		if !group.Trusted(g) {
			return nil, badRequest("the group %s goes by what hosts say of themselves, and such a group is nobody's grant: use one made by hand or by label", name)
		}
	}
	return groups, nil
}

func (a *API) deleteUser(c *gin.Context) {
	ctx, name := c.Request.Context(), c.Param("name")
	u, err := a.Store.User(ctx, store.Everything(), name)
	if err == nil {
		err = a.keepAnAdmin(c, u, "")
	}
	if err == nil {
		err = a.audit(c, "delete user", name, "")
	}
	if err == nil {
		err = a.Store.DeleteUser(ctx, store.Everything(), name)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"ok": true})
}

func (a *API) postToken(c *gin.Context) {
	var in struct {
		Note    string `json:"note"`
		Expires int64  `json:"expires_in_s"`
	}
	if c.Request.ContentLength != 0 {
		if err := decode(c, &in); err != nil {
			a.fail(c, err)
			return
		}
	}
	if in.Expires < 0 || in.Expires > int64(10*365*24*time.Hour/time.Second) || len(in.Note) > 500 {
		a.fail(c, badRequest("expires_in_s is a number of seconds up to ten years, note has up to 500 bytes"))
		return
	}
	ctx, name := c.Request.Context(), c.Param("name")
	if _, err := a.Store.User(ctx, store.Everything(), name); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.audit(c, "make API token", name, in.Note); err != nil {
		a.fail(c, err)
		return
	}
	text, k := NewToken(name, in.Note, a.Now())
	if in.Expires > 0 {
		k.ExpiresAt = a.Now().Add(time.Duration(in.Expires) * time.Second)
	}
	if err := a.Store.AddToken(ctx, store.Everything(), k); err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, gin.H{"token": text, "expires_at": at(k.ExpiresAt)})
}

// NewToken makes an API token: its text, shown once, and what is kept.
func NewToken(user, note string, now time.Time) (string, store.Token) {
	text := auth.TokenPrefix + auth.Secret()
	return text, store.Token{Hash: auth.Hash(text), User: user, Note: note, CreatedAt: now}
}

func (a *API) listAudit(c *gin.Context) {
	n, err := limit(c, 100, 1000)
	if err != nil {
		a.fail(c, err)
		return
	}
	before, err := number(c, "before", 0, 0, 1<<62)
	if err != nil {
		a.fail(c, err)
		return
	}
	es, err := a.Store.ListAudit(c.Request.Context(), store.Everything(), before, n)
	if err != nil {
		a.fail(c, err)
		return
	}
	out := []gin.H{}
	for _, e := range es {
		out = append(out, gin.H{"id": e.ID, "time": at(e.Time), "user": e.User, "address": e.Address, "action": e.Action, "object": e.Object, "detail": e.Detail})
	}
	c.JSON(http.StatusOK, gin.H{"entries": out})
}
