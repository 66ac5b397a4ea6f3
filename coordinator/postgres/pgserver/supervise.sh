# Runs PostgreSQL for as long as somebody holds the other end of standard input, then stops it and
# removes its directory. Usage: supervise DIRECTORY POSTGRES ARGUMENT...
directory=$1
shift
"$@" </dev/null &
server=$!
# Signals meant for the foreground must not end the supervisor before the server.
trap '' INT HUP TERM
# Nothing is ever read but the end, or the word to stop.
read -r _
kill -INT "$server" 2>/dev/null
# A fast shutdown takes a moment; what does not end in five seconds is ended at once.
(
	waited=0
	while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 50 ]; do
		sleep 0.1
		waited=$((waited + 1))
	done
	[ "$waited" -lt 50 ] || kill -QUIT "$server" 2>/dev/null
) &
wait "$server"
cd / && rm -rf "$directory"
