// Package ldap asks LDAP directories (RFC 4511) about addresses: which values an
// attribute of a user has, and who is a member of a group. It only reads.
//
// A [Client] is made from the settings in usersrepository.xml without connecting
// to anything. Connections are opened when they are needed, a few are kept, and
// each has one request at a time. Of several servers the first one that answers
// is asked; one that failed comes last for a while. A connection that the server
// closed meanwhile is replaced, and the question asked once more. Every step has
// a time limit. What cannot be found out is an error, never an empty answer.
//
// What strangers write (addresses) reaches a directory only as the value of an
// equality filter, escaped as RFC 4515 §3 says.
package ldap
