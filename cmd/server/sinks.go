package main

import (
	"fmt"

	"github.com/aiedr/edr/fleetsrv/export"
)

// sinks reads the sinks of the configuration file.
func (e *env) sinks(s *settings, config string) ([]export.Config, error) {
	if len(s.Sinks) == 0 {
		return nil, nil
	}
	list, err := export.ParseConfig(s.Sinks, s.Data, e.getenv)
	if err != nil {
		return nil, fmt.Errorf("-config: read %s: %w", config, err)
	}
	return list, nil
}
