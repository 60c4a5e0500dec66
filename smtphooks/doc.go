// Package smtphooks is the policy of the SMTP server: James's handler chain.
//
// A chain is built from the <handlerchain> of a server by Build: first the
// handlers written there, in order, then those of the core bundle. Each handler
// implements one or more of the hook interfaces of this package. At every step
// of a conversation the server asks the chain; the first hook that does not
// decline decides. What a conversation has come to is in a Session; what belongs
// to one mail of it is in its Transaction, which ends with HELO, RSET and the
// end of the message.
//
// The chain knows nothing of sockets (package smtphooks/server does), and the
// server knows nothing of policy.
//
// Source: org.apache.james.protocols.smtp.hook, org.apache.james.smtpserver.
package smtphooks
