// Package conf turns James's XML and properties files into values that know
// where they were written.
//
// It knows the shape of each file, not the meaning of a class name: it imports
// nothing of ours. Every mistake goes into a Report as
// file:line:column: severity: text; nothing is decided by the first one.
package conf
