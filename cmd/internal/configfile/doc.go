// Package configfile reads config.toml: the file that operators of Gitaly Cluster have, with a few
// keys of ours.
//
// It is the only place that knows TOML. Every other package has a Config of its own with defaults
// and validation; this one turns the sections of the file into them. It starts nothing and checks
// nothing outside the file, except that it reads the token file which the file names, and looks
// whether certificates are there.
//
// # What happens to a key
//
//   - Known and used: it is validated. All findings are reported at once, each with its key, the
//     value and what is accepted. Some are tolerated: a server starts with them and says so.
//   - Known, but without effect here (the elector of older releases, for example): accepted,
//     validated like the others, and listed in Loaded.Inert.
//   - Unknown: accepted and listed in Loaded.Unknown with its line, because a file that an older
//     or newer release reads must not stop this one; whoever starts a server names them in its log.
//
// A program that config_command names is run, and what it prints is laid over the file.
//
// Secrets are of a type that shows itself nowhere. Errors never quote the file.
package configfile
