// Package webadmin is the HTTP API of James for operators: tasks, health, mail
// repositories, queues, domains, users and mappings, with James's paths, status
// codes, JSON keys and error texts.
//
// It owns no data: everything it shows or changes belongs to the interfaces in
// Deps. One file holds the routes of one resource; long jobs are tasks (package
// task), run one after another.
//
// # Paths
//
// Routes are matched on the path as it was sent, cut at "/"; each variable
// segment is decoded afterwards, once. So %2F does not end a segment, and an
// empty or further segment matches no route. A known path with an unknown method
// is a 404 like any unknown path.
//
// Source: server/protocols/webadmin of Apache James.
package webadmin
