// Package boot composes the server: it makes every part in the order in which they need each
// other, and ends them in the reverse order.
package boot
