package failpoint

// Tags returns the build tags of this package that this program was built with: none in what users
// install. Whoever starts a program that has some should say so loudly.
func Tags() []string {
	var tags []string
	if stoppable {
		tags = append(tags, "failpoints")
	}
	if sabotaged {
		tags = append(tags, "sabotage")
	}
	return tags
}
