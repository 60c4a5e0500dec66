// Package remote delivers mail to other hosts: the machinery of the mailet
// RemoteDelivery.
//
// # The life of a queued mail
//
// An [Instance] is one configured RemoteDelivery. Instances that name the same
// queue share one worker for it (type queue); the destination of an item says
// which instance put it there. The worker keeps a bounded number of items in
// memory, grouped by destination, and asks the store for more when there is
// room. A lane is a goroutine with one connection that delivers items of one
// destination, one after the other.
//
// An attempt goes over the candidate hosts of a mail (route.go) and ends with
// one container.Outcome for each recipient; verdict.go alone says what is
// temporary and what is permanent. handover.go turns the outcomes into one
// repository.Change: delivered recipients are gone or at onSuccess, refused
// ones at the bounce processor, the others back in the queue. The process may
// die at any moment: before the change is durable the item is still in the
// queue, and what a remote host had accepted by then is sent once more.
//
// # Being fair
//
// No destination, however dead or slow, keeps another waiting: it may hold at
// most as much of the window as is free, at most half of the workers while
// others wait, and a delivery that takes long gives its worker's place to
// another one; what is on its way to a slow host takes no place in the window
// either. When no host of a destination can be reached, everything that waits in
// memory for it is put off by that one probe. A host that refuses a connection
// while others to it are open is not down: it gets no more than those for a
// while.
package remote
