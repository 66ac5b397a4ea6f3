package link

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Owner finds out which of some processes, given by name, has the socket at an address of this
// machine; empty when none has. It reads /proc, as there is no other way to tell apart processes
// that were given the same address to connect to.
func Owner(address net.Addr, processes map[string]int) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return ""
	}
	inode := inodeOf(tcp)
	if inode == "" {
		return ""
	}
	for name, pid := range processes {
		if holds(pid, "socket:["+inode+"]") {
			return name
		}
	}

	return ""
}

// Columns of /proc/net/tcp.
const (
	columnLocal = 1
	columnInode = 9
)

// inodeOf returns the inode of the socket that is bound to an address of IPv4.
func inodeOf(address *net.TCPAddr) string {
	file, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer file.Close() //nolint:errcheck // It was only read.

	ip := address.IP.To4()
	if ip == nil {
		return ""
	}
	// The kernel prints the address as a number of this machine's byte order.
	local := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], address.Port)
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		columns := strings.Fields(lines.Text())
		if len(columns) > columnInode && columns[columnLocal] == local {
			return columns[columnInode]
		}
	}

	return ""
}

// holds tells whether a process has a file open.
func holds(pid int, file string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err == nil && target == file {
			return true
		}
	}

	return false
}
