package coordinator

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"path"
	"regexp"
	"strconv"
	"strings"
)

const (
	repositoryPrefix = "@cluster/repositories/"
	poolPrefix       = "@cluster/pools/"
)

// poolPattern is not anchored at its start, as clients may put pools below a directory.
var poolPattern = regexp.MustCompile(`@pools/([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{64})\.git$`)

// ReplicaPath is where nodes keep the repository: a function of the id, because nodes recognise
// object pools by this form, and because a path that is never used twice needs no clean disk.
// A client's path of the form @pools/xx/yy/xxyy....git makes it a pool's path.
func ReplicaPath(id RepositoryID, relativePath string) string {
	decimal := strconv.FormatInt(int64(id), 10)
	sum := sha256.Sum256([]byte(decimal))
	digits := hex.EncodeToString(sum[:2])
	prefix := repositoryPrefix
	if IsPoolPath(relativePath) {
		prefix = poolPrefix
	}
	return prefix + digits[:2] + "/" + digits[2:] + "/" + decimal
}

// idOf returns the id that a path on disk was made of, or a new one if it was made otherwise.
func idOf(replicaPath string) RepositoryID {
	id, err := strconv.ParseInt(path.Base(replicaPath), 10, 64)
	digits := strings.TrimPrefix(strings.TrimPrefix(replicaPath, repositoryPrefix), poolPrefix)
	if err == nil && id > 0 && strings.HasSuffix(ReplicaPath(RepositoryID(id), ""), "/"+digits) &&
		digits != replicaPath {
		return RepositoryID(id)
	}
	return RepositoryID(rand.Int64N(1<<63-1) + 1)
}

// IsPoolPath says whether clients call an object pool by this path: a 64-digit lower-case
// hexadecimal name below two directories that repeat its first digits.
func IsPoolPath(relativePath string) bool {
	match := poolPattern.FindStringSubmatch(relativePath)
	return len(match) > 0 && strings.HasPrefix(match[3], match[1]+match[2])
}

// IsPoolReplicaPath says whether a path on disk is that of an object pool.
func IsPoolReplicaPath(replicaPath string) bool {
	return strings.HasPrefix(replicaPath, poolPrefix)
}
