# Owns one PostgreSQL while its standard input is open. When the owner closes it, or dies for any reason, this script
# stops the server and removes the directory.
#
# $1: the directory of PostgreSQL's programs; $2: a directory that holds a file `password`; the rest: arguments for postgres.
# Reads one order a line, and answers each with one line: `done` or `failed`.
bin=$1
directory=$2
shift 2
server=
trap '' HUP INT TERM PIPE # a closed terminal or a lost reader must not prevent the cleanup

start() { # the arguments for postgres
    "$bin/postgres" -D "$directory/data" -p "$port" "$@" </dev/null >>"$directory/log" 2>&1 &
    server=$!
}

# Not by process group: each backend leads a session of its own.
signal_all() {
    kill -s "$1" "$server" 2>/dev/null # first, so that it starts no further backend
    ps -A -o pid= -o ppid= 2>/dev/null | while read -r pid parent; do
        if [ "$parent" = "$server" ]; then kill -s "$1" "$pid" 2>/dev/null || :; fi # it can have ended meanwhile
    done
}

ready() {
    left=3000 # one minute
    until grep -qx "$server" "$directory/data/postmaster.pid" && grep -q '^ready' "$directory/data/postmaster.pid"; do
        left=$((left - 1))
        if [ $left -eq 0 ]; then stop QUIT; fi
        if ! kill -s 0 "$server"; then
            server=
            return 1
        fi
        sleep 0.02
    done 2>/dev/null
}

stop() { # $1: INT (fast) or QUIT (immediate)
    if [ -z "$server" ]; then return 0; fi
    signal_all CONT
    signal=$1
    left=500 # ten seconds
    # Repeatedly: a server that was started a moment ago ignores signals.
    while kill -s "$signal" "$server" 2>/dev/null; do
        left=$((left - 1))
        if [ $left -eq 0 ]; then signal=QUIT; fi
        sleep 0.02
    done
    server=
}

while read -r order port; do
    case $order in
        init)
            "$bin/initdb" -D "$directory/data" -U postiz -A scram-sha-256 --pwfile="$directory/password" \
                -E UTF8 --locale=C --no-sync </dev/null >>"$directory/log" 2>&1
            ;;
        copy) # of the server on that port, to replicate from it
            PGPASSWORD=$(cat "$directory/password") "$bin/pg_basebackup" -h 127.0.0.1 -p "$port" -U postiz -w \
                -D "$directory/data" -R -X stream -c fast --no-sync </dev/null >>"$directory/log" 2>&1
            ;;
        start) start "$@" && ready ;;
        fast) stop INT ;;
        immediate) stop QUIT ;;
        pause) command -v ps >/dev/null && signal_all STOP ;;
        resume) signal_all CONT ;;
    esac && echo 'done' || echo 'failed'
done
stop INT
rm -rf "$directory"
