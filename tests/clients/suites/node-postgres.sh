# shellcheck shell=bash
# node-postgres at the tag pg@8.23.0 (suites/package.json has the released packages of that tag): pg, in JavaScript and
# with libpq (pg-native), pg-pool, pg-cursor, pg-query-stream, pg-native. SUITE_TESTS: packages, such as "pg pg-cursor".
need_modules

suite_prepare() {
    local package
    cp -r "$MODULES/node_modules" .
    for package in pg pg-pool pg-cursor pg-query-stream pg-native; do
        cp -r "$SOURCE/packages/$package/test" "node_modules/$package/"
    done
    # Written in TypeScript, and against the source next to them.
    cp -r node_modules/pg-query-stream/test query-stream
    rm -r node_modules/pg-query-stream/test
    sed -i "s|'\.\./src'|'pg-query-stream'|" query-stream/*.ts
    printf '{"compilerOptions": {"esModuleInterop": true, "module": "commonjs", "target": "es2020"}}\n' >tsconfig.json
}

# The tests of pg are programs that stop at their first failure: one line a test, and one a program.
pg_programs() {
    local file name status native="$2"
    while read -r file; do
        name="${file#test/}"
        status=0
        # shellcheck disable=SC2086
        (cd node_modules/pg && timeout 60 node "$file" $native) >out.txt 2>&1 || status=$?
        printf '# %s\n' "$name" && cat out.txt
        {
            sed -nE "s|^ *(.*) ✔\$|ok - $name: \1|p" out.txt
            [ "$status" -eq 0 ] || printf 'not '
            printf 'ok - %s\n' "$name"
        } >>"$1"
    done < <(cd node_modules/pg && find test/integration ${native:+test/native} -name '*-tests.js' | sort)
}

suite_tests() {
    local package tests
    for package in ${SUITE_TESTS:-pg pg-libpq pg-pool pg-cursor pg-query-stream pg-native}; do
        case "$package" in
            pg) pg_programs "$1/pg.tap" '' && continue ;;
            pg-libpq) pg_programs "$1/pg-libpq.tap" native && continue ;;
            pg-query-stream) tests='-r ts-node/register/transpile-only query-stream/*.ts' ;;
            *) tests="node_modules/$package/test/*.js" ;;
        esac
        # shellcheck disable=SC2086
        timeout 300 node_modules/.bin/mocha --exit --timeout 20000 --reporter xunit --reporter-options "output=$1/$package.xml" $tests || true
    done
}
