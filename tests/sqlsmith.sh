#!/usr/bin/env bash
# sqlsmith (Debian's package) against the demonstration, through pgglass, as a nurse: random queries over everything that
# the catalog shows. What must hold: every session lives until sqlsmith ends it, pgglass does not crash, and no byte that
# goes to the client has a piece of a hidden row, each of which has a canary in its texts. Prints the share refused by
# reason. sqlsmith rolls its changes back.
#
#   tests/sqlsmith.sh [QUERIES] [SEED]     2000 queries and a seed of the day by default
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/pgglass"
PGGLASS="${PGGLASS:-${CARGO_TARGET_DIR:-$CACHE/target}/debug/pgglass}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

QUERIES="${1:-2000}"
SEED="${2:-$(date +%j)}"
LOGIN="${SQLSMITH_USER:-nurse_amy}"
CANARY=CNRY7f3aCNRY
# The bytes to the client are read as they are.
export DEMO_CLEARTEXT=loopback

command -v sqlsmith >/dev/null || fail "sqlsmith is not installed (apt-get install sqlsmith)"
[ -x "$PGGLASS" ] || fail "no $PGGLASS; build it, or set PGGLASS"

# Every text of a patient that is not on the list of the login, keys aside.
plant_canaries() {
    psql_direct -d "$DEMO_DATABASE" <<SQL
SET session_replication_role = replica;
DO \$plant\$
DECLARE c record;
BEGIN
    FOR c IN SELECT r.relname AS tab, a.attname AS col
               FROM pg_class r JOIN pg_attribute a ON a.attrelid = r.oid
               JOIN pg_attribute k ON k.attrelid = r.oid AND k.attname = 'patient_id'
              WHERE r.relnamespace = 'clinic'::regnamespace AND r.relkind = 'r' AND a.attnum > 0 AND a.atttypid = 'text'::regtype
                AND NOT EXISTS (SELECT FROM pg_constraint x WHERE x.conrelid = r.oid AND x.contype IN ('c', 'p') AND a.attnum = ANY (x.conkey))
    LOOP
        EXECUTE format('UPDATE clinic.%I SET %I = %L || patient_id || coalesce(%I, '''') WHERE patient_id NOT IN (SELECT patient_id FROM glass.assigned WHERE user_name = %L)',
                       c.tab, c.col, '$CANARY', c.col, '$LOGIN');
    END LOOP;
END
\$plant\$;
UPDATE clinic.lab_result r SET analyte = '$CANARY' || analyte, unit = '$CANARY' || unit FROM clinic.lab_order o
 WHERE o.order_id = r.order_id AND o.patient_id NOT IN (SELECT patient_id FROM glass.assigned WHERE user_name = '$LOGIN');
ANALYZE;
SQL
    local planted
    planted="$(psql_direct -At -d "$DEMO_DATABASE" -c "SELECT count(*) FROM clinic.patient WHERE name LIKE '$CANARY%'")"
    [ "$planted" -gt 1000 ] || fail "only $planted canaries are planted"
}

find_pg_bin
STATE="$(mktemp -d "${TMPDIR:-/tmp}/pgglass-sqlsmith.XXXXXX")"
chmod 711 "$STATE"
RELAY_PID=''
trap '[ -z "$RELAY_PID" ] || kill "$RELAY_PID" 2>/dev/null || true; demo_down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
make_certificates "$STATE/tls"
start_database
plant_canaries
start_proxy
RELAY_PORT="$(free_port)"
python3 "$ROOT/tests/sqlsmith_relay.py" "$RELAY_PORT" "$PROXY_PORT" "$CANARY" "$STATE/relay.json" &
RELAY_PID=$!
sleep 1

say "sqlsmith: $QUERIES queries as $LOGIN, seed $SEED"
status=0
nice -n 5 timeout "${SQLSMITH_TIMEOUT:-1800}" sqlsmith --exclude-catalog --seed="$SEED" --max-queries="$QUERIES" \
    --target="host=127.0.0.1 port=$RELAY_PORT dbname=$DEMO_DATABASE user=$LOGIN password=$LOGIN-demo sslmode=disable options='-c statement_timeout=2000'" \
    >"$STATE/sqlsmith.out" 2>"$STATE/sqlsmith.err" || status=$?
kill -TERM "$RELAY_PID"
wait "$RELAY_PID" 2>/dev/null || true
RELAY_PID=''
kill -0 "$PROXY_PID" 2>/dev/null || fail "pgglass has ended: $(tail -n 5 "$STATE/pgglass.log")"
if grep -m 3 'panicked' "$STATE/pgglass.log" >&2; then fail "pgglass panicked"; fi
stop_proxy
"$PGGLASS" verify --directory "$LEDGER" --public-key "$PUBLIC_KEY" >"$STATE/verify.log" 2>&1 || {
    cat "$STATE/verify.log" >&2
    fail "the ledger does not verify"
}
[ -z "${KEEP:-}" ] || cp "$STATE/relay.json" "$STATE/pgglass.log" "$STATE/sqlsmith.err" "$KEEP/"
[ "$status" -eq 0 ] || { tail -n 5 "$STATE/sqlsmith.err" >&2; fail "sqlsmith ended with $status"; }
python3 "$ROOT/tests/sqlsmith_relay.py" --report "$STATE/relay.json"
