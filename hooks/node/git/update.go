package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Update is a change of one reference.
type Update struct {
	// Reference is the full name.
	Reference string
	// Old is the object id that the reference must have, all zeros when it must not exist, empty
	// when it does not matter.
	Old string
	// New is the object id that it shall have, all zeros when it shall be deleted.
	New string
}

// UpdateInput is what git update-ref -z reads for some updates, which it applies all or not at all.
func UpdateInput(updates []Update) io.Reader {
	var input strings.Builder
	for _, u := range updates {
		fmt.Fprintf(&input, "update %s\x00%s\x00%s\x00", u.Reference, u.New, u.Old)
	}

	return strings.NewReader(input.String())
}

// Updater changes references in steps, so that others can be asked between locking and writing. It
// runs no hooks, and takes symbolic references for what they are. Every Updater ends with Commit or
// Abort; it belongs to one goroutine.
type Updater struct {
	process *Process
	answers *bufio.Reader
	ended   bool
}

// NewUpdater starts a change of the references of a repository. The end of ctx does not end it.
func (g *Git) NewUpdater(ctx context.Context, repository string) (*Updater, error) {
	process, err := g.Start(context.WithoutCancel(ctx), Command{
		Repository: repository, Args: []string{"update-ref", "--no-deref", "--stdin", "-z"},
	})
	if err != nil {
		return nil, err
	}

	u := &Updater{process: process, answers: bufio.NewReader(process.Stdout)}
	if err := u.step("start", nil); err != nil {
		return nil, err
	}

	return u, nil
}

// Prepare locks the references of all updates and checks that they can be applied. On an error
// nothing stays locked, and the Updater has ended; the predicates on [*Error] say why.
func (u *Updater) Prepare(updates []Update) error {
	return u.step("prepare", UpdateInput(updates))
}

// Commit applies what was prepared, and ends the Updater.
func (u *Updater) Commit() error {
	if err := u.step("commit", nil); err != nil {
		return err
	}
	u.ended = true

	return u.process.Wait()
}

// Abort unlocks everything and leaves the references as they were. It may be called at any time,
// also after the Updater has ended, and then does nothing.
func (u *Updater) Abort() error {
	if u.ended {
		return nil
	}
	if err := u.step("abort", nil); err != nil {
		return err
	}
	u.ended = true

	return u.process.Wait()
}

// step gives Git a command and waits until it confirms. If Git does not, it has given up and
// unlocked everything, and says why when it is waited for.
func (u *Updater) step(verb string, input io.Reader) error {
	if u.ended {
		return fmt.Errorf("%s: %w", verb, ErrEnded)
	}

	answer, err := u.exchange(verb, input)
	if err == nil && answer == verb+": ok\n" {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%w: %q", ErrUnexpectedAnswer, answer)
	}
	u.ended = true
	if ended := u.process.Wait(); ended != nil {
		return ended
	}

	return fmt.Errorf("%s: %w", verb, err)
}

func (u *Updater) exchange(verb string, input io.Reader) (string, error) {
	if input != nil {
		if _, err := io.Copy(u.process.Stdin, input); err != nil {
			return "", fmt.Errorf("write updates: %w", err)
		}
	}
	if _, err := io.WriteString(u.process.Stdin, verb+"\x00"); err != nil {
		return "", fmt.Errorf("write command: %w", err)
	}

	answer, err := u.answers.ReadString('\n')
	if err != nil {
		return "", errors.Join(ErrUnexpectedAnswer, err)
	}

	return answer, nil
}
