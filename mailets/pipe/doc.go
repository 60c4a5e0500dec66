// Package pipe runs programs that read a message from their standard input.
//
// No shell is involved: the program gets the arguments as they are configured,
// with placeholders replaced inside each of them, so that an address can never
// become a further argument. That it cannot become an option or leave a folder
// either is checked before the program is started; see Argument.
//
// A program runs in a process group of its own, with a small environment and a
// time limit; when the time is up the group is killed. A message that cannot be
// read to its end kills the group too, so that half a message is never taken for
// a whole one.
package pipe
