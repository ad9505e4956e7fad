// Package account has the tables of users and groups.
package account
