// Package winreg reads the live registry of Windows, for the table and for the
// sensor. What needs Windows stands in one file behind Tree; names, values and
// patterns are the same on every system.
package winreg
