# shellcheck shell=bash
# Sourced. Each need_ notes what is missing; install_missing gets all of it from the system's packages at once, or says
# what to install.

missing=()  # as people call it
debian=()   # packages of Debian and Ubuntu
homebrew=() # formulae of Homebrew
export PATH=$PATH:/usr/sbin # where Debian has servers, and not everyone's path

need_cargo() {
    local oldest here=none
    oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    # rustup's default place: a new shell would find it, and a distribution's cargo may be too old.
    is_cargo_since "$oldest" || export PATH=$HOME/.cargo/bin:$PATH
    if ! is_cargo_since "$oldest"; then
        # Also what rustup says of a toolchain that it can't install.
        if command -v cargo >/dev/null; then here=$(cargo --version 2>&1 | head -n 1); fi
        echo "Missing: Rust $oldest or newer (here: $here). Install it from https://rustup.rs and try again." >&2
        exit 1
    fi
    # Some dependencies compile C.
    if ! command -v cc >/dev/null; then
        missing+=("a C compiler$(on_macos)")
        debian+=(gcc libc6-dev)
    fi
}

# Homebrew has no formula for it.
on_macos() {
    if [ "$(uname)" = Darwin ]; then echo ' (xcode-select --install)'; fi
}

is_cargo_since() {
    local version
    version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2)
    [ -n "$version" ] && [ "$(printf '%s\n' "$1" "$version" | sort -V | head -n 1)" = "$1" ]
}

need_postgres() {
    local initdb
    # The places where the program itself looks.
    for initdb in "${PG_BIN:+$PG_BIN/initdb}" "$(command -v initdb)" /usr/lib/postgresql/*/bin/initdb \
        /usr/pgsql-*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb \
        /Applications/Postgres.app/Contents/Versions/*/bin/initdb; do
        if [ -x "$initdb" ]; then return; fi
    done
    missing+=("PostgreSQL's server (initdb, postgres)")
    debian+=(postgresql)
    homebrew+=(postgresql@17)
}

need_node() {
    if command -v node >/dev/null && command -v npm >/dev/null; then return; fi
    missing+=('Node.js with npm')
    debian+=(nodejs npm)
    homebrew+=(node)
}

need_openssl() {
    if command -v openssl >/dev/null; then return; fi
    missing+=(OpenSSL)
    debian+=(openssl)
    homebrew+=(openssl@3)
}

need_pgbouncer() {
    if command -v pgbouncer >/dev/null; then return; fi
    missing+=(PgBouncer)
    debian+=(pgbouncer)
    homebrew+=(pgbouncer)
}

# Debian has the virtual environments in a package of their own.
need_python() {
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    missing+=('Python with venv')
    debian+=(python3-venv)
    homebrew+=(python)
}

need_haproxy() {
    if command -v haproxy >/dev/null; then return; fi
    missing+=(HAProxy)
    debian+=(haproxy)
    homebrew+=(haproxy)
}

need_curl() {
    if command -v curl >/dev/null; then return; fi
    missing+=(curl)
    debian+=(curl)
    homebrew+=(curl)
}

# Shows a process another time.
need_faketime() {
    if command -v faketime >/dev/null; then return; fi
    missing+=(faketime)
    debian+=(faketime)
    homebrew+=(libfaketime)
}

# Lists processes, to pause all of a server's.
need_ps() {
    if command -v ps >/dev/null; then return; fi
    missing+=(ps)
    debian+=(procps)
}

# Debian's package would start a service, so it is only unpacked.
need_prometheus() {
    local place=target/tools/prometheus
    export PATH=$PATH:$PWD/$place/usr/bin
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return; fi
    if ! command -v apt-get >/dev/null || ! may_be_root; then
        missing+=(Prometheus)
        debian+=(prometheus)
        homebrew+=(prometheus)
        return
    fi
    echo 'Unpacking prometheus ...' >&2
    mkdir -p "$place"
    as_root apt-get update -qq
    (cd "$place" && apt-get download -qq prometheus 2>/dev/null)
    dpkg-deb -x "$place"/prometheus_*.deb "$place"
    rm "$place"/prometheus_*.deb
}

# Ubuntu's is a snap, which needs a running systemd: there, npm's copy is taken.
need_chromium() {
    if [ -n "$(find_chromium)" ]; then return; fi
    if ! grep -qs '^ID=debian' /etc/os-release; then return; fi
    missing+=(Chromium)
    debian+=(chromium)
}

# Where it is, if it is somewhere.
find_chromium() {
    if [ -n "${CHROMIUM:-}" ]; then
        echo "$CHROMIUM"
    else
        command -v chromium || command -v google-chrome || true
    fi
}

# Sets CHROMIUM; it stays empty if there is none.
find_or_install_chromium() {
    local package=@sparticuz/chromium place=target/npm/chromium
    CHROMIUM=$(find_chromium)
    export CHROMIUM
    if [ -n "$CHROMIUM" ]; then return; fi
    echo 'Installing Chromium from npm ...' >&2
    npm install --prefix "$place" "$package@147.0.0" --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null &&
        CHROMIUM=$(cd "$place" && node -e "import('$package').then(async (it) => console.log(await it.default.executablePath()))")
}

need_cxx() {
    if command -v c++ >/dev/null; then return; fi
    missing+=("a C++ compiler$(on_macos)")
    debian+=(g++)
}

install_missing() {
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    printf 'Missing: %s\n' "${missing[@]}" >&2
    if [ ${#debian[@]} -gt 0 ] && command -v apt-get >/dev/null && may_be_root; then
        install_debian
    elif [ ${#homebrew[@]} -gt 0 ] && command -v brew >/dev/null && [ "$(id -u)" -ne 0 ]; then
        brew install "${homebrew[@]}"
    else
        echo 'To install it:' >&2
        echo "  Debian, Ubuntu (as root): apt-get install ${debian[*]}" >&2
        if [ ${#homebrew[@]} -gt 0 ]; then echo "  macOS: brew install ${homebrew[*]}" >&2; fi
        exit 1
    fi
    missing=() debian=() homebrew=()
}

may_be_root() {
    # `sudo -v` asks for the password, and fails if this account may not use sudo.
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -v; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_debian() (
    echo "Installing ${debian[*]} ..." >&2
    # Debian creates a database with the package. Nobody has asked for one here, so not this time.
    place=/etc/postgresql-common/createcluster.d
    errors=$(mktemp)
    trap 'as_root rm -f "$place/postiz-auth-server.conf"; rm "$errors"' EXIT
    as_root mkdir -p "$place"
    echo 'create_main_cluster = false' | as_root tee "$place/postiz-auth-server.conf" >/dev/null
    as_root apt-get update -qq
    # In a bare system, packages complain of tools that are not there yet: that is worth reading only if one can't be installed.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o APT::Status-Fd=1 "${debian[@]}" </dev/null 2>"$errors" | show_progress || { cat "$errors" >&2 && false; }
)

# Reads what apt says of its progress, and shows it on a terminal.
show_progress() {
    local kind percent _
    while IFS=: read -r kind _ percent _; do
        [ -t 2 ] || continue
        case $kind in
            dlstatus) printf '\rDownloading: %3d %% ' "${percent%.*}" >&2 ;;
            pmstatus) printf '\rInstalling: %3d %%  ' "${percent%.*}" >&2 ;;
        esac
    done
    if [ -t 2 ]; then echo >&2; fi
}

# The published CLI, as people have it: sets POSTIZ_CLI, and PATH where the machine's Node.js is too old for it.
install_cli() {
    local version=2.1.0
    local cli=target/npm/$version entry node
    if [ ! -f "$cli/node_modules/postiz/package.json" ]; then
        echo 'Installing the CLI from npm ...' >&2
        npm install --prefix "$cli" "postiz@$version" --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null
    fi
    entry=$(node -p 'const {bin} = require(process.argv[1]); typeof bin === "string" ? bin : Object.values(bin)[0]' \
        "$PWD/$cli/node_modules/postiz/package.json")
    export POSTIZ_CLI=$PWD/$cli/node_modules/postiz/$entry
    # It asks for Node.js 18 and needs 20.19, to require() a module; Debian 12 and Ubuntu 24.04 have 18.
    if ! node "$POSTIZ_CLI" --help >/dev/null 2>&1; then
        node=node-$(node -p 'process.platform + "-" + process.arch')
        npm install --prefix "$cli" "$node@22.23.3" --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null
        export PATH=$PWD/$cli/node_modules/$node/bin:$PATH
        node "$POSTIZ_CLI" --help >/dev/null
    fi
}
