// Package sieve is the mail filtering language Sieve (RFC 5228): Compile checks a
// script completely, and Script.Run says what it wants to be done with one
// message. It moves no mail; its callers do.
//
// A script goes through three stages. The lexer and the parser make a tree of
// commands, tests and arguments. The checker compares each with the table of what
// is known (commands.go, tests.go) and turns it into calls whose arguments need no
// further checks. Running walks the calls. Every mistake has a line and a column,
// and the checker reports all of them at once.
//
// Extensions: fileinto, envelope, encoded-character, comparator-i;octet,
// comparator-i;ascii-casemap (RFC 5228), comparator-i;ascii-numeric (RFC 4790),
// copy (RFC 3894), body (RFC 5173), variables (RFC 5229), vacation (RFC 5230),
// vacation-seconds (RFC 6131), relational (RFC 5231), imap4flags (RFC 5232),
// subaddress (RFC 5233), date and index (RFC 5260), editheader (RFC 5293), reject
// and ereject (RFC 5429), mailbox (RFC 5490).
//
// Scripts are written by users, so nothing in one may hurt the server: its size,
// nesting, actions and variables are bounded, and everything that takes time draws
// on a budget (see Limits). Wildcards are matched without recursion, so that the
// time is at most the product of the two lengths, and that is on the budget too.
//
// foxcpp/go-sieve was looked at and is not used: its interpreter keeps the
// commands it knows in a table that nobody outside can add to, has neither date,
// reject, vacation nor editheader, and links package testing into the server. Its
// parser takes a closing brace too many for the end of the script, of which the
// rest is then silently ignored, accepts lists that end with a comma, lets numbers
// overflow, has no identifiers that begin with an underscore, and reports what the
// lexer finds without a position.
package sieve
