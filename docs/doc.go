// Package docs is the documents; its tests hold them to what the code is.
package docs
