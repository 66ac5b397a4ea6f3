package node

import (
	"regexp"

	"google.golang.org/grpc/codes"
)

// receiveSettings is how pushes are received.
func receiveSettings() []string {
	settings := []string{
		"receive.fsckObjects=true",
		"receive.advertisePushOptions=true",
		"receive.advertiseAtomic=true",
		"receive.denyDeletes=false",
		"receive.denyNonFastForwards=false",
		// A pool can have millions of references that would be advertised as known objects.
		"core.alternateRefsCommand=exit 0 #",
	}
	// Old histories have these, and nobody can mend them.
	for _, finding := range []string{
		"badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode", "hasDotgit",
	} {
		settings = append(settings, "receive.fsck."+finding+"=ignore")
	}
	// The application keeps these for itself: nobody may push to them, or need see them.
	for _, namespace := range []string{
		"refs/environments/", "refs/keep-around/", "refs/merge-requests/", "refs/pipelines/",
		"refs/remotes/", "refs/tmp/",
	} {
		settings = append(settings, "receive.hideRefs="+namespace)
	}

	return settings
}

// uploadSettings is how fetches are served.
func uploadSettings() []string {
	return []string{
		"uploadpack.allowFilter=true",
		"uploadpack.allowAnySHA1InWant=true",
		"uploadpack.advertiseBundleURIs=false",
	}
}

// checkSettings checks configuration that a caller wants to be set.
func checkSettings(settings []string) error {
	const word = `[A-Za-z][A-Za-z0-9-]*`
	form := regexp.MustCompile(`^` + word + `(\.[^\n\x00=]+)?\.` + word + `=[^\x00]*$`)
	for _, setting := range settings {
		if !form.MatchString(setting) {
			return failf(codes.InvalidArgument, "invalid git config option: %q", setting)
		}
	}

	return nil
}
