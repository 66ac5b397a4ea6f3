package configfile

// Secret is a value that must be shown nowhere: however it is printed, logged or encoded, what
// comes out is a placeholder. Reveal returns what it is.
type Secret string

const hidden = "[hidden]"

// Reveal returns the value, for those who have to present or to check it.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer. An empty secret is shown as such.
func (s Secret) String() string {
	if s == "" {
		return ""
	}

	return hidden
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText implements encoding.TextMarshaler, for JSON, TOML and structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
