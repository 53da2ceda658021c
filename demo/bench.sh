#!/usr/bin/env bash
# pgbench on the demonstration database: directly, and through pgglass as an unrestricted and as a
# restricted user. Needs PGGLASS (a release build). Numbers of one machine under whatever load it
# has; the database runs with fsync off, the ledger with it on. No pass or fail.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PGGLASS="${PGGLASS:?set PGGLASS to the pgglass binary}"
SECONDS_EACH="${SECONDS_EACH:-5}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

# measure LABEL USER PORT SSLMODE SCRIPT
measure() {
    local clients
    for clients in 1 8; do
        printf '%-44s %2d connection(s): ' "$1" "$clients"
        PGPASSWORD="$2-demo" PGSSLMODE="$4" PGSSLROOTCERT="$STATE/tls/ca.crt" \
            "$PG_BIN/pgbench" -n -M prepared -T "$SECONDS_EACH" -c "$clients" -j 2 -f "$5" \
            -h localhost -p "$3" -U "$2" "$DEMO_DATABASE" 2>"$STATE/pgbench.err" |
            sed -n 's/^latency average = \(.*\)$/\1/p; s/^tps = \([0-9.]*\).*/\1 per second/p' | paste -sd ' ' ||
            { cat "$STATE/pgbench.err" >&2; fail "pgbench failed"; }
    done
}

demo_up
# Inpatients of ward 3, nurse_amy's: 880003, 880015 ...
printf '%s\n' '\set n random(0, 24)' 'SELECT name, birth_date FROM clinic.patient WHERE patient_id = 880003 + 12 * :n;' >"$STATE/point.sql"
printf '%s\n' '\set n random(0, 24)' 'SELECT r.analyte, r.value FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id) WHERE o.patient_id = 880003 + 12 * :n;' >"$STATE/labs.sql"
for script in point labs; do
    measure "$script, direct (clear text)" nurse_amy "$DB_PORT" disable "$STATE/$script.sql"
    measure "$script, pgglass (TLS), unrestricted dba_gus" dba_gus "$PROXY_PORT" verify-full "$STATE/$script.sql"
    measure "$script, pgglass (TLS), restricted nurse_amy" nurse_amy "$PROXY_PORT" verify-full "$STATE/$script.sql"
done
