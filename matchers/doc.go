// Package matchers has James's matchers, one file each. A matcher selects
// recipients: those for which the mailet beside it runs. The doc comment of a
// class is its manual, and a test loads every sample in it.
//
// # Rules shared by all
//
// A condition is the text after the first = of match="…"; a class that takes
// none ignores it. A bad condition stops the start. Addresses and domains are
// compared ignoring case. A class that reads a typed attribute treats one of
// another type as absent: the text "3" that SetMailAttribute wrote is not the
// number 3.
//
// A result holds only recipients that the mail has, in their order.
package matchers
