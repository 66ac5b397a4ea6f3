# Runs PostgreSQL for as long as somebody holds the other end of standard input, then stops it and
# removes its directory. Usage: supervise DIRECTORY POSTGRES ARGUMENT...
#
# Words on standard input, one a line:
#   fast, immediate   stop the server in that mode and wait until it has ended
#   start             start it again
#   stop              as the end of the input
directory=$1
shift
begin() {
	"$@" </dev/null &
	server=$!
}
halt() {
	kill "-$1" "$server" 2>/dev/null
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
}
begin "$@"
# Signals meant for the foreground must not end the supervisor before the server.
trap '' INT HUP TERM
while read -r word; do
	case $word in
	fast) halt INT ;;
	immediate) halt QUIT ;;
	start) begin "$@" ;;
	*) break ;;
	esac
done
halt INT
cd / && rm -rf "$directory"
