// Package file has the tables of files: what they are, not what they hold.
package file
