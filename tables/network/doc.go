// Package network has the tables of sockets and connections.
package network
