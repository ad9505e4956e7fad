package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// client asks the server's API.
type client struct {
	base  string
	token string
	http  *http.Client
}

// newClient makes a client of the environment's settings.
func (e *env) newClient() (*client, error) {
	server, token, ca := e.getenv("EDR_SERVER"), e.getenv("EDR_TOKEN"), e.getenv("EDR_CA")
	if server == "" {
		return nil, errors.New("EDR_SERVER is not set: export EDR_SERVER=https://HOST:8443, or read the file that make run wrote (. data/edrctl.env)")
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("EDR_SERVER=%s is no address such as https://HOST:8443", server)
	}
	if token == "" {
		return nil, errors.New("EDR_TOKEN is not set: make a token on the server (edr-server user token NAME) and export it")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("EDR_CA: %w; name the CA of the server's certificate (keys/ca.pem in its data folder)", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("EDR_CA: %s holds no certificate in PEM; name the CA of the server's certificate (keys/ca.pem in its data folder)", ca)
		}
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = cfg
	return &client{base: "https://" + u.Host, token: token, http: &http.Client{Transport: tr,
		// The token goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// apiError is what the server answered instead.
type apiError struct {
	status  int
	message string
}

func (a *apiError) Error() string {
	if a.status == http.StatusUnauthorized {
		return "the server does not know the token in EDR_TOKEN: make a new one (edr-server user token NAME)"
	}
	return a.message
}

func (c *client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, r)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req, nil
}

// open asks and answers a response of a status that is no error.
func (c *client) open(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		var unknown x509.UnknownAuthorityError
		var name x509.HostnameError
		switch {
		case errors.As(err, &unknown):
			return nil, fmt.Errorf("ask %s: its certificate is signed by a CA that is not trusted: set EDR_CA to the server's ca.pem", c.base)
		case errors.As(err, &name):
			return nil, fmt.Errorf("ask %s: %w: use a name or address that the server's certificate has", c.base, name)
		}
		return nil, fmt.Errorf("ask %s: %w; is the server running, and EDR_SERVER right?", c.base, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is says enough
	var e struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(b, &e) != nil || e.Error.Message == "" {
		e.Error.Message = fmt.Sprintf("ask %s: status %s and no message; is EDR_SERVER an edr server?", c.base, resp.Status)
	}
	return nil, &apiError{resp.StatusCode, e.Error.Message}
}

// do asks and reads the JSON answer.
func (c *client) do(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	resp, err := c.open(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base+path, err)
	}
	return nil
}

// event is one server-sent event.
type event struct{ name, id, data string }

// events reads a stream of server-sent events until do says done, the stream
// breaks or ctx ends.
func (c *client) events(ctx context.Context, path, lastID string, do func(event) (done bool, err error)) (done bool, err error) {
	req, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return false, err
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := c.open(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	r := bufio.NewReaderSize(resp.Body, 64<<10)
	var e event
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false, fmt.Errorf("read the stream: %w", err)
		}
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		switch key {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.name == "" {
				continue
			}
			if done, err := do(e); done || err != nil {
				return done, err
			}
			e = event{}
		}
	}
}
