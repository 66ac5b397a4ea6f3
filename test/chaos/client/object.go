package client

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Kinds of objects as packs number them.
const (
	kindCommit = 1
	kindTree   = 2
	kindBlob   = 3
)

// object is a Git object.
type object struct {
	kind    int
	content []byte
}

func (o object) id() string {
	names := map[int]string{kindCommit: "commit", kindTree: "tree", kindBlob: "blob"}
	sum := sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", names[o.kind], len(o.content)),
		o.content...))

	return hex.EncodeToString(sum[:])
}

// commit makes a commit. Its message makes it different from all others.
func commit(tree, parent, message string) object {
	var text bytes.Buffer
	fmt.Fprintf(&text, "tree %s\n", tree)
	if parent != "" {
		fmt.Fprintf(&text, "parent %s\n", parent)
	}
	const who = "Chaos <chaos@example.org> 1700000000 +0000"
	fmt.Fprintf(&text, "author %s\ncommitter %s\n\n%s\n", who, who, message)

	return object{kind: kindCommit, content: text.Bytes()}
}

// chain is a line of commits of the same tree, with all objects that they need.
type chain struct {
	tree    string
	commits []string
	objects []object
}

func newChain(length int) (chain, error) {
	blob := object{kind: kindBlob, content: []byte("content\n")}
	raw, err := hex.DecodeString(blob.id())
	if err != nil {
		return chain{}, fmt.Errorf("decode id: %w", err)
	}
	tree := object{kind: kindTree, content: append([]byte("100644 file\x00"), raw...)}

	c := chain{tree: tree.id(), objects: []object{blob, tree}}
	parent := ""
	for i := range length {
		next := commit(c.tree, parent, fmt.Sprintf("number %d", i))
		parent = next.id()
		c.objects = append(c.objects, next)
		c.commits = append(c.commits, parent)
	}

	return c, nil
}

// pack writes objects as Git sends them.
func pack(objects []object) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("PACK")
	out.Write(binary.BigEndian.AppendUint32(nil, 2))
	out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(objects))))
	for _, o := range objects {
		out.Write(header(o))
		compressor := zlib.NewWriter(&out)
		if _, err := compressor.Write(o.content); err != nil {
			return nil, fmt.Errorf("compress object: %w", err)
		}
		if err := compressor.Close(); err != nil {
			return nil, fmt.Errorf("compress object: %w", err)
		}
	}
	sum := sha1.Sum(out.Bytes())
	out.Write(sum[:])

	return out.Bytes(), nil
}

// header is an object's kind and size: four bits of the size, then seven in each further byte.
func header(o object) []byte {
	size := len(o.content)
	first := byte(o.kind<<4 | size&0x0f)
	size >>= 4
	var out []byte
	for size > 0 {
		out = append(out, first|0x80)
		first = byte(size & 0x7f)
		size >>= 7
	}

	return append(out, first)
}
