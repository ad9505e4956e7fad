package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/aiedr/edr/agent"
)

func runStatus(ctx context.Context, args []string, out, errs io.Writer) error {
	fs := flag.NewFlagSet("edr-agent status", flag.ContinueOnError)
	fs.SetOutput(errs)
	data := fs.String("data", defaultData(), "`folder` of the agent's state")
	if err := fs.Parse(args); err != nil {
		return quiet(err)
	}
	client, err := agent.Dial(*data)
	if err != nil {
		return fmt.Errorf("status: %w; start one with edr-agent -data %s", err, *data)
	}
	raw, err := client.Status(ctx)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = out.Write(b.Bytes())
	return err
}
