package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The references of every repository of this harness.
const (
	refMain  = "refs/heads/main"
	refOther = "refs/heads/other"
	refSpare = "refs/heads/spare"
	refFresh = "refs/heads/fresh"
)

// zeroID stands for a reference that is not there.
const zeroID = "0000000000000000000000000000000000000000"

// material is what is pushed: commits that follow each other, and a pack of all of them.
type material struct {
	base, change, spare string
	pack                []byte
	// source is a repository on disk which has the references of base but for one.
	source string
}

// newMaterial makes commits in a repository of its own.
func newMaterial(ctx context.Context, dir string) (*material, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create directory: %w", err)
	}
	local := &local{dir: dir}
	if _, err := local.git(ctx, nil, "init", "--quiet", "--initial-branch=main"); err != nil {
		return nil, err
	}

	goods := &material{}
	for name, id := range map[string]*string{
		"base": &goods.base, "change": &goods.change, "spare": &goods.spare,
	} {
		var err error
		if *id, err = local.commit(ctx, name); err != nil {
			return nil, err
		}
	}
	revisions := strings.Join([]string{goods.base, goods.change, goods.spare, ""}, "\n")
	pack, err := local.git(ctx, []byte(revisions), "pack-objects", "--revs", "--stdout", "-q")
	goods.pack = pack
	if err != nil {
		return nil, err
	}
	err = goods.makeSource(ctx, local)

	return goods, err
}

// makeSource makes a repository that a fetch can be made from.
func (m *material) makeSource(ctx context.Context, from *local) error {
	m.source = filepath.Join(from.dir, "source.git")
	for _, args := range [][]string{
		{"clone", "--quiet", "--bare", from.dir, m.source},
		{"--git-dir", m.source, "update-ref", refMain, m.base},
		{"--git-dir", m.source, "update-ref", refSpare, m.spare},
	} {
		if _, err := from.git(ctx, nil, args...); err != nil {
			return err
		}
	}

	return nil
}

type local struct{ dir string }

func (l *local) commit(ctx context.Context, name string) (string, error) {
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write file: %w", err)
	}
	for _, args := range [][]string{{"add", name}, {"commit", "--quiet", "-m", name}} {
		if _, err := l.git(ctx, nil, args...); err != nil {
			return "", err
		}
	}
	id, err := l.git(ctx, nil, "rev-parse", "HEAD")

	return strings.TrimSpace(string(id)), err
}

func (l *local) git(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	var output, complaint bytes.Buffer

	command := exec.CommandContext(ctx, "git", args...)
	command.Dir, command.Stdin = l.dir, bytes.NewReader(input)
	command.Env = append(os.Environ(),
		"HOME="+l.dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=User", "GIT_AUTHOR_EMAIL=user@example.org",
		"GIT_COMMITTER_NAME=User", "GIT_COMMITTER_EMAIL=user@example.org",
	)
	command.Stdout, command.Stderr = &output, &complaint
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("git %v: %w: %s", args, err, complaint.String())
	}

	return output.Bytes(), nil
}

// update is a change of one reference.
type update struct{ name, from, to string }

// request is what Git sends to make a node take the updates.
func (m *material) request(updates []update, capabilities string) []byte {
	var request bytes.Buffer
	for i, u := range updates {
		line := u.from + " " + u.to + " " + u.name
		if i == 0 {
			line += "\x00" + capabilities
		}
		fmt.Fprintf(&request, "%04x%s", len(line)+4, line)
	}
	request.WriteString("0000")
	request.Write(m.pack)

	return request.Bytes()
}
