//go:build !linux

package response

import (
	"context"
	"fmt"
)

var errNoBlockHere = fmt.Errorf("block_connection: %w", ErrNotSupported)

func (b *blocker) planBlock(context.Context, BlockConnectionArgs) (string, error) {
	return "", errNoBlockHere
}

func (b *blocker) doBlock(context.Context, Request, BlockConnectionArgs) (Done, error) {
	return Done{}, errNoBlockHere
}

func (b *blocker) planUnblock(context.Context, UnblockConnectionArgs) (string, error) {
	return "", errNoBlockHere
}

func (b *blocker) doUnblock(context.Context, Request, UnblockConnectionArgs) (Done, error) {
	return Done{}, errNoBlockHere
}

// Blocks lists the blocks in force.
func Blocks() ([]Block, error) { return nil, errNoBlockHere }

// Reconcile does nothing here.
func Reconcile() ([]Block, error) { return nil, errNoBlockHere }
