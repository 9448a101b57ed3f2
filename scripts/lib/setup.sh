# shellcheck shell=bash
# Installs what is missing, by the system's packages; elsewhere says what to install. Sourced.

# need_packages "what for" package... : Debian's names
need_packages() {
    local what=$1
    shift
    if ! command -v apt-get >/dev/null; then
        echo "Missing: $what. Install it and try again." >&2
        echo "  Debian, Ubuntu: apt-get install $*" >&2
        echo "  macOS:          brew install postgresql@17 node pgbouncer python" >&2
        exit 1
    fi
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing: $what. Ask an administrator to run: apt-get install $*" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "Installing $what: $*"
    # Debian starts a cluster with the package; this project brings its own.
    if [[ " $* " == *" postgresql "* ]]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
        echo 'create_main_cluster = false' |
            "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

has_postgres() {
    local initdb
    for initdb in "$(command -v initdb)" /usr/lib/postgresql/*/bin/initdb \
        /opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb; do
        [ -x "$initdb" ] && return 0
    done
    return 1
}

need_cargo() {
    # rustup's default place, where a new shell would find it.
    command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"
    if ! command -v cargo >/dev/null; then
        echo "Missing: a Rust toolchain. Install it from https://rustup.rs and try again." >&2
        exit 1
    fi
    # Some dependencies compile C.
    command -v cc >/dev/null || need_packages "a C compiler" gcc libc6-dev
}

need_postgres() {
    has_postgres || need_packages PostgreSQL postgresql
}

need_node() {
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        need_packages "Node.js, for the postiz CLI" nodejs npm
    fi
}

need_pgbouncer() {
    # Debian has it in sbin, which is not on everyone's path.
    export PATH=$PATH:/usr/sbin
    command -v pgbouncer >/dev/null || need_packages PgBouncer pgbouncer
}

need_python() {
    # Debian has the virtual environments in a package of their own.
    python3 -c 'import ensurepip, venv' 2>/dev/null || need_packages "Python, for Schemathesis" python3-venv
}
