// Package mailets has James's mailets, one file each. The doc comment of a
// class is its manual, and a test loads every sample in it; machinery of more
// than a screen or two lives in the packages below this one.
//
// # Rules shared by all
//
// Every child element of <mailet> is a parameter. Repeated elements are joined
// with a comma; text is trimmed. A parameter that the class does not read is a
// warning, and for the classes in which James refuses it an error. Two elements
// are read by the container for every class: onMatchException and
// onMailetException.
//
// A mailet changes the mail it is given and writes into the Outbox what should
// come of it besides. It keeps untouched header lines as they came, puts new
// ones on top, and adds none that it was not asked for: James adds a missing
// Date, Message-ID or MIME-Version whenever a mailet has touched a header.
package mailets
