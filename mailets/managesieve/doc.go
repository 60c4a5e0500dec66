// Package managesieve runs the commands with which users administer their Sieve
// scripts (RFC 5804 §2.4 to §2.12), one at a time, and writes the replies. How a
// command comes here, and who gave it, is of others.
package managesieve
