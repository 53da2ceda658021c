# shellcheck shell=bash
# asyncpg 0.30.0. SUITE_TESTS: arguments for pytest, such as -k NAME.
need_venv

# Its tests are in its source package only, which pip also unpacks; nothing of it is built.
suite_source() {
    local version
    version="$(sed -n 's/^asyncpg==//p' "$HERE/requirements.txt")"
    SOURCE="$CACHE/suites/asyncpg-$version"
    [ -d "$SOURCE/tests" ] && return
    mkdir -p "$CACHE/suites"
    "$VENV/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary asyncpg \
        --dest "$CACHE/suites" "asyncpg==$version"
    tar -xzf "$CACHE/suites/asyncpg-$version.tar.gz" -C "$CACHE/suites"
}

suite_tests() {
    local again=()
    [ "${1##*/}" != again ] || again=(--last-failed --last-failed-no-failures none)
    # shellcheck disable=SC2086
    pytest tests -q --timeout 40 --junitxml "$1/report.xml" "${again[@]}" ${SUITE_TESTS:-}
}
