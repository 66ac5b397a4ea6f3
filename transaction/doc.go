// Package transaction is the agreement of the nodes on one write.
package transaction
