// Package cmd is the program mailetd: one file per subcommand, and the wiring
// of all parts. A program with mailets of one's own calls Main with options:
//
//	func main() {
//		cmd.Main(cmd.WithMailet("com.example.Stamp", newStamp))
//	}
//
// serve loads and checks the whole configuration, builds every class once to
// find all mistakes, and only then opens the store and the ports. The parts are
// started bottom up (deliveries, spooler, webadmin, SMTP) and stopped top down,
// so that nothing new arrives while old work drains; the store closes last.
package cmd
