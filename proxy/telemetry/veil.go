package telemetry

import "regexp"

// veil hides what looks like a secret in texts that others wrote: errors of nodes quote addresses
// with passwords in them.
type veil []*regexp.Regexp

func newVeil() veil {
	return veil{
		// Who somebody is in an address.
		regexp.MustCompile(`(://)[^/\s@]+(@)`),
		regexp.MustCompile(`(?i)(\bbearer\s+)\S+()`),
		regexp.MustCompile(`(?i)(\b(?:password|passwd|token|secret|authorization|dsn)["']?` +
			`\s*[=:]\s*["']?)[^\s"',;&]+()`),
	}
}

// over returns the text with placeholders.
func (v veil) over(text string) string {
	for _, secret := range v {
		text = secret.ReplaceAllString(text, "${1}[hidden]${2}")
	}
	return text
}
