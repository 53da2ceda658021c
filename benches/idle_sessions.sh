#!/usr/bin/env bash
# Memory of pgglass with many sessions that wait: logs them in, one statement each, and prints how much
# the process grew for one session, over TLS and in clear text. No pass or fail.
#
# usage: PGGLASS=<release build> benches/idle_sessions.sh [SESSIONS]     5000 by default; needs psycopg
# for the python3 in $PYTHON, and memory for as many PostgreSQL processes (about 2 MB each).
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PGGLASS="${PGGLASS:?set PGGLASS to a release build of pgglass}"
SESSIONS="${1:-5000}" PYTHON="${PYTHON:-python3}"
# shellcheck source=demo/server.sh
source "$ROOT/demo/server.sh"

ulimit -n "$(ulimit -Hn)"
for sslmode in disable require; do
    (
        DEMO_CLEARTEXT=loopback DEMO_MAX_CONNECTIONS=$((SESSIONS + 50)) demo_up >/dev/null
        trap demo_down EXIT
        "$PYTHON" - "$SESSIONS" "$PROXY_PORT" "$DEMO_DATABASE" "$PROXY_PID" "$sslmode" <<'PY'
import sys, time, psycopg

sessions, port, database, pid, sslmode = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]

def resident():
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

def connect():
    c = psycopg.connect(f"host=127.0.0.1 port={port} dbname={database} user=nurse_amy password=nurse_amy-demo sslmode={sslmode}", autocommit=True)
    c.execute("SELECT name FROM clinic.patient WHERE patient_id = 880003").fetchall()
    return c

warm = [connect() for _ in range(20)]
time.sleep(1)
before, started = resident(), time.time()
open_ones = [connect() for _ in range(sessions - len(warm))]
took = time.time() - started
time.sleep(2)
after = resident()
print(f"{sslmode:8} {sessions} sessions: {before // 1024} MiB with 20, {after // 1024} MiB with all, "
      f"{(after - before) / len(open_ones):.1f} KiB each; {took / len(open_ones) * 1000:.1f} ms a login")
PY
    )
done
