#!/bin/sh
# Signs a script, an agent or a terminal in to Postiz. Needs a POSIX shell and curl, and no browser on this machine.
# It is the device flow of RFC 8628: a person opens the link anywhere, and this machine fetches the token.
#
# It accepts to lose a login of its own: a second `start` replaces the first one's state.

usage() {
    cat <<'END'
login.sh [--name NAME]          print a link, wait for the approval, save the credentials
login.sh start [--name NAME]    print the link, and end at once
login.sh finish [--wait N]      wait for the login of `start`, at most N seconds, and save the credentials

Output, one `name=value` a line:
  start   link, code, expires_in (seconds), state (a file, which holds a secret)
  finish  credentials (the file, ~/.postiz/credentials.json)
Messages for people go to standard error.

--name is what the person who approves sees: at most 40 letters, digits, spaces, and . _ -
POSTIZ_AUTH_SERVER names the server, such as https://auth.example.com

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 expired or revoked, 5 can't write ~/.postiz,
6 not decided yet: run `finish` again.
END
}

set -u
umask 077 # only this user reads what is written here
LC_ALL=C
export LC_ALL

grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code
longest_hold=20   # seconds for which the server is asked to hold a poll
grace=60          # seconds for which an approved login can be fetched after its time
newline='
'

say() { printf '%s\n' "$*" >&2; }

fail() {
    code=$1
    shift
    say "$*"
    exit "$code"
}

# Sends a form: post PATH FORM SECONDS. Sets `status` (000: no answer) and `answer`, which is empty if it is no JSON.
# The form goes through standard input, because other users can see the arguments of a process.
post() {
    reply=$(printf '%s' "$2" | curl --silent --show-error --globoff --max-time "$(($3 + 30))" \
        --header 'Accept: application/json' --header "Prefer: wait=$3" --data-binary @- \
        --write-out '\n%{http_code}' --url "$server$1")
    status=${reply##*"$newline"}
    answer=$(printf '%s' "${reply%"$newline"*}" | tr '\r\n' '  ')
    case $answer in '{'*) ;; *) answer= ;; esac
}

# The string `$1` of the answer, with its JSON escapes. A quote inside a string is escaped, so no name is found there.
text() { printf '%s\n' "$answer" | sed -n 's/.*[{,] *"'"$1"'" *: *"\([^"\\]*\(\\.[^"\\]*\)*\)".*/\1/p'; }

# The number `$1` of the answer.
number() { printf '%s\n' "$answer" | sed -n 's/.*[{,] *"'"$1"'" *: *\([0-9][0-9]*\).*/\1/p'; }

# Creates the empty file `$new` before a person is asked to approve anything.
prepare() {
    if ! mkdir -p "$folder" || ! printf '' >"$new"; then fail 5 "Can't write to $folder."; fi
}

# Writes `$2` to the file `$1`, whole or not at all.
replace() {
    if ! printf '%s\n' "$2" >"$new" || ! mv -f "$new" "$1"; then fail 5 "Can't write $1."; fi
}

start() {
    prepare
    post /device/code "client_id=$(printf '%s' "$name" | tr ' ' '+')" 0
    device_code=$(text device_code)
    link=$(text verification_uri_complete)
    if [ "$status" != 200 ] || [ -z "$device_code" ] || [ -z "$link" ]; then
        case $status in
            000) fail 1 "$server does not answer." ;;
            3??) fail 1 "$server answers a redirect ($status). Use the address that it leads to, with https." ;;
            *) fail 1 "$server opened no login: status $status. $(text error_description)" ;;
        esac
    fi
    expires_in=$(number expires_in)
    interval=$(number interval)
    replace "$state" "server=$server
client_id=$name
device_code=$device_code
interval=${interval:-5}
expires_at=$(($(date +%s) + ${expires_in:-900}))"
    printf 'link=%s\ncode=%s\nexpires_in=%s\nstate=%s\n' "$link" "$(text user_code)" "${expires_in:-900}" "$state"
    if [ -t 2 ] && command -v qrencode >/dev/null; then qrencode -t UTF8 -m 1 "$link" >&2; fi
    say "Open the link in a browser, compare the code, and approve at Postiz."
}

# The value of `$1` in the state of `start`.
saved() { sed -n "s/^$1=//p" "$state"; }

finish() {
    [ -r "$state" ] || fail 1 "There is no login to finish. Run: $0 start"
    server=$(saved server)
    interval=$(saved interval)
    end=$(($(saved expires_at) + grace))
    form="grant_type=$grant_type&device_code=$(saved device_code)&client_id=$(saved client_id | tr ' ' '+')"
    prepare
    begun=$(date +%s)
    while asked=$(date +%s) && [ "$asked" -lt "$end" ]; do
        hold=$longest_hold
        if [ -n "$timeout" ]; then
            left=$((begun + timeout - asked))
            if [ "$left" -lt "$hold" ]; then hold=$((left > 0 ? left : 0)); fi
        fi
        post /device/token "$form" "$hold"
        decide
        now=$(date +%s)
        if [ -n "$timeout" ] && [ "$now" -ge $((begun + timeout)) ]; then
            fail 6 "Not decided yet. Run: $0 finish"
        fi
        # One second more, because `date` knows only whole ones.
        pause=$((asked + interval + 1 - now))
        if [ "$pause" -gt 0 ]; then sleep "$pause"; fi
    done
    ended 4 "The login has expired. Run: $0 start"
}

# Looks at the answer to a poll; returns if there has to be another one.
decide() {
    error=$(text error)
    case $status:$error in
        200:) if [ -n "$(text access_token)" ]; then save; fi ;;
        *:authorization_pending) ;;
        *:slow_down) interval=$((interval + 5)) ;;
        *:access_denied) ended 3 "The login was denied." ;;
        *:expired_token) ended 4 "The login has expired or was revoked. Run: $0 start" ;;
        # A proxy's page, a restart, too many requests: the next poll may succeed.
        *: | 429:* | 5??:*) ;;
        *) ended 1 "The login failed: $error. $(text error_description)" ;;
    esac
}

ended() {
    rm -f "$state"
    fail "$@"
}

# As the Postiz CLI writes it. The values keep the escapes of the JSON that they come from.
save() {
    organization=$(text organization_id)
    replace "$credentials" "{
  \"accessToken\": \"$(text access_token)\",
  \"apiUrl\": \"$(text api_url)\"${organization:+,
  \"organizationId\": \"$organization\"}
}"
    rm -f "$state"
    say "Signed in."
    printf 'credentials=%s\n' "$credentials"
    exit 0
}

command=both
name=login.sh
timeout=
case ${1-} in start | finish)
    command=$1
    shift
    ;;
esac
while [ $# -gt 0 ]; do
    case $1 in
        --name) name=${2-} ;;
        --wait) timeout=${2-} ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
    [ $# -ge 2 ] || { usage >&2 && exit 2; }
    shift 2
done
case $name in '' | *[!A-Za-z0-9\ ._-]*) usage >&2 && exit 2 ;; esac
case $timeout in *[!0-9]*) usage >&2 && exit 2 ;; esac
[ ${#name} -le 40 ] || { usage >&2 && exit 2; }
command -v curl >/dev/null || fail 1 "Missing: curl"

server=${POSTIZ_AUTH_SERVER:-}
[ -n "$server" ] || [ "$command" = finish ] || fail 2 "Missing: POSTIZ_AUTH_SERVER, the URL of your auth server"
server=${server%/}
folder=${HOME:?HOME is not set}/.postiz
state=$folder/login
credentials=$folder/credentials.json
new=$folder/.new.$$
trap 'rm -f "$new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

case $command in
    start) start ;;
    finish) finish ;;
    both) start && finish ;;
esac
