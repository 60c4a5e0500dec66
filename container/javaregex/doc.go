// Package javaregex matches texts against regular expressions in the
// syntax of java.util.regex, as James's configurations have them.
//
// The work is done by dlclark/regexp2, which backtracks and knows look-around,
// back-references and atomic groups, as Java does. What the two write or mean
// differently is translated: the dot and the dollar (Java has five line
// terminators), \d \w \s (ASCII in Java), \h \v \R \Z, \Q…\E, possessive
// quantifiers, octal escapes, POSIX classes such as \p{Alpha}, the flags
// d m s u x U, and the numbers of named groups. What has no translation is an
// error that names the construct: unions and intersections of character
// classes, \X, \N, \b{g}, Unicode blocks and java… properties. So is what Java
// does not know, such as conditions.
//
// Two differences remain: (?i) compares all letters, not only ASCII ones, and
// \b takes any letter for part of a word.
package javaregex
