// Package engine runs a mail through the processors of mailetcontainer.xml.
//
// A processor is a list of steps, each a matcher and a mailet. For every mail
// in the processor the matcher selects recipients: none, and the mail passes
// by; all, and the mailet serves the mail; some, and the mail is split: a copy
// with the matched recipients, under a derived name, goes to the mailet, and
// the rest passes by. The copy comes first; the two are never merged again.
//
// After each step, mails whose state now names another processor go there at
// once and are processed to their end, before the next step of the one they
// left. Ghosts are dropped. What is still there after the last step is dropped
// too, with a warning (but for the processor error).
//
// The nesting of processors is an explicit stack with a limit: a cycle of
// ToProcessor ends in the processor error with a message that names it.
//
// The engine knows no class by name and touches no disk: what mailets want to
// come of a mail they write into its container.Outbox.
//
// Source: org.apache.james.mailetcontainer.impl (ProcessorImpl, MatcherSplitter)
// and …lib.AbstractStateMailetProcessor.
package engine
