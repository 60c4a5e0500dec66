// Command mailetd is a mail server that runs Apache James's mail processing.
package main

import "github.com/mailetd/mailetd/cmd"

func main() { cmd.Main() }
