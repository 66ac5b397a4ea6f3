//go:build !linux

package disk

// exchange returns false: there is no way to swap two directories at once.
func exchange(string, string) (bool, error) { return false, nil }
