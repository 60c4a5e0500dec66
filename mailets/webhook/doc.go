// Package webhook posts mails to web servers: the message as it is, streamed, or
// a JSON document about it. The status of the answer says what became of the
// recipients; it decides, and nothing else does, whether to try again.
package webhook
