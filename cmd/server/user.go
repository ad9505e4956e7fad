package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aiedr/edr/fleetsrv/api"
	"github.com/aiedr/edr/fleetsrv/auth"
	"github.com/aiedr/edr/fleetsrv/store"
	"github.com/aiedr/edr/fleetsrv/store/sqlite"
)

func (e *env) user(ctx context.Context, args []string) error {
	var s settings
	var config, role, passwordFile, note string
	fs := e.newFlags("edr-server user", &s, &config)
	fs.StringVar(&role, "role", "", "role of a new user: admin, responder, analyst or viewer")
	fs.StringVar(&passwordFile, "password-file", "", "file with the password; otherwise EDR_PASSWORD, or it is asked for")
	fs.StringVar(&note, "note", "", "what a token is for")
	rest, err := e.parse(fs, &s, &config, args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return usagef("user: say what to do: add, list, passwd, role, delete or token")
	}
	want := map[string]int{"add": 2, "list": 1, "passwd": 2, "role": 3, "delete": 2, "token": 2}
	n, ok := want[rest[0]]
	if !ok {
		return usagef("user: there is no %q; there is add, list, passwd, role, delete and token", rest[0])
	}
	if len(rest) != n {
		return usagef("user %s: it takes %d argument(s), not %d; see edr-server help", rest[0], n-1, len(rest)-1)
	}
	if rest[0] == "add" && role == "" {
		return usagef("user add: give -role admin, responder, analyst or viewer")
	}
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return fmt.Errorf("-data: make the folder: %w", err)
	}
	db, _, err := e.openStore(ctx, &s)
	if err != nil {
		return fmt.Errorf("-db: %w", err)
	}
	defer db.Close()
	name := ""
	if len(rest) > 1 {
		name = strings.ToLower(rest[1])
	}
	switch rest[0] {
	case "add":
		return e.userAdd(ctx, db, name, role, passwordFile)
	case "list":
		return e.userList(ctx, db)
	case "passwd":
		return e.userPasswd(ctx, db, name, passwordFile)
	case "role":
		return e.userRole(ctx, db, name, rest[2])
	case "delete":
		if err := audit(ctx, db, "delete user", name, ""); err != nil {
			return err
		}
		return db.DeleteUser(ctx, store.Everything(), name)
	}
	return e.userToken(ctx, db, name, note)
}

func (e *env) userAdd(ctx context.Context, db *sqlite.DB, name, role, passwordFile string) error {
	if _, err := auth.ParseRole(role); err != nil {
		return usagef("-role: %w", err)
	}
	password, err := e.password(passwordFile)
	if err != nil {
		return err
	}
	u, err := api.NewUser(name, password, role, nil, false, time.Now())
	if err != nil {
		return fmt.Errorf("add user: %w", err)
	}
	if err := audit(ctx, db, "add user", u.Name, role); err != nil {
		return err
	}
	return db.AddUser(ctx, store.Everything(), u)
}

func (e *env) userList(ctx context.Context, db *sqlite.DB) error {
	users, err := db.ListUsers(ctx, store.Everything())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tCLASSES\tTOKENS\tLAST LOGIN")
	for _, u := range users {
		login := "never"
		if !u.LastLogin.IsZero() {
			login = u.LastLogin.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", u.Name, u.Role, strings.Join(u.Classes, ","), u.Tokens, login)
	}
	return w.Flush()
}

func (e *env) userPasswd(ctx context.Context, db *sqlite.DB, name, passwordFile string) error {
	u, err := db.User(ctx, store.Everything(), name)
	if err != nil {
		return err
	}
	password, err := e.password(passwordFile)
	if err != nil {
		return err
	}
	if err := auth.CheckPassword(name, password); err != nil {
		return err
	}
	if u.Hash, err = auth.HashPassword(password); err != nil {
		return err
	}
	if err := audit(ctx, db, "change password", name, ""); err != nil {
		return err
	}
	u.MustChange = false
	return db.UpdateUser(ctx, store.Everything(), u, true)
}

func (e *env) userRole(ctx context.Context, db *sqlite.DB, name, role string) error {
	r, err := auth.ParseRole(role)
	if err != nil {
		return usagef("user role: %w", err)
	}
	u, err := db.User(ctx, store.Everything(), name)
	if err != nil {
		return err
	}
	if err := audit(ctx, db, "change user", name, "role "+role); err != nil {
		return err
	}
	u.Role, u.Classes = role, r.DefaultClasses()
	return db.UpdateUser(ctx, store.Everything(), u, true)
}

func (e *env) userToken(ctx context.Context, db *sqlite.DB, name, note string) error {
	if _, err := db.User(ctx, store.Everything(), name); err != nil {
		return err
	}
	if err := audit(ctx, db, "make API token", name, note); err != nil {
		return err
	}
	text, k := api.NewToken(name, note, time.Now())
	if err := db.AddToken(ctx, store.Everything(), k); err != nil {
		return err
	}
	fmt.Fprintln(e.stdout, text)
	return nil
}

// password reads a password from a file, the environment or the terminal.
func (e *env) password(file string) (string, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("-password-file: %w", err)
		}
		return oneLine(string(b), "-password-file "+file)
	}
	if p := e.getenv("EDR_PASSWORD"); p != "" {
		return p, nil
	}
	f, ok := e.stdin.(*os.File)
	if !ok || !isTerminal(f) {
		return "", errors.New("no password: give -password-file, set EDR_PASSWORD, or run this in a terminal")
	}
	fmt.Fprint(e.stderr, "password: ")
	restore, err := hideInput(f)
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w; give -password-file", err)
	}
	line, err := bufio.NewReader(f).ReadString('\n')
	restore()
	fmt.Fprintln(e.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return oneLine(line, "the password")
}

func oneLine(s, what string) (string, error) {
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return "", fmt.Errorf("%s is empty", what)
	}
	if strings.ContainsAny(s, "\r\n") {
		return "", fmt.Errorf("%s has more than one line", what)
	}
	return s, nil
}
