#!/usr/bin/env python3
"""Keeps builtins.tsv: which functions of pg_catalog a restricted role may call, overload by overload.

    src/sql/functions/review.py CONNECTION...        a libpq connection string each, one server a major version

Reads pg_proc of every server, keeps what was decided, adds what is new as `undecided` (which is denied), takes out what
no server has, writes the file anew and prints what is to be decided. Exit status 1 when something is undecided. Needs
psql. Functions that SQL cannot call (an argument of type internal) are left out.

A line: name(argument types), kind (f function, a aggregate, w window, p procedure), major versions, verdict, below.
verdict  allow, or denied with its class:
           text       runs SQL text                     relations  reads relations by name, oid or cursor
           files      files of the server               server     controls or tells of the server
           session    identity, settings, other sessions, locks, messages, waiting
           metadata   tells sizes, counts, other people's statements, or values of statistics
           plumbing   support, handlers, triggers: for the server itself
below    may it run on rows that the filter has not seen yet: leakproof (PostgreSQL says so, in every version listed),
         reviewed (its source was read, see safe.rs for the arguments it may have), no
"""

import pathlib
import subprocess
import sys

FILE = pathlib.Path(__file__).with_name("builtins.tsv")
HEAD = "# Made and kept by review.py, which says what the columns are. Decisions are made here, by hand.\n"
QUERY = """
SELECT p.proname || '(' || pg_catalog.array_to_string(ARRAY(
         SELECT t.typname FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY a (oid, i)
           JOIN pg_catalog.pg_type t ON t.oid = a.oid ORDER BY a.i), ',') || ')',
       p.prokind, p.proleakproof
  FROM pg_catalog.pg_proc p
 WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
   AND NOT 'internal'::pg_catalog.regtype = ANY (p.proargtypes::pg_catalog.oid[])
   AND p.oid < 16384
"""


def psql(connection, query):
    done = subprocess.run(["psql", "-XAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", connection, "-c", query],
                          check=True, text=True, stdout=subprocess.PIPE)
    return [line.split("\t") for line in done.stdout.splitlines()]


def decisions():
    """Verdict and below by function and kind, as the file has them."""
    known = {}
    if FILE.exists():
        for line in FILE.read_text().splitlines():
            if line and not line.startswith("#"):
                function, kind, _, verdict, below = line.split("\t")
                known[function, kind] = verdict, below
    return known


def main(connections):
    found = {}
    for connection in connections:
        [[version]] = psql(connection, "SELECT current_setting('server_version_num')::int / 10000")
        for function, kind, leakproof in psql(connection, QUERY):
            found.setdefault((function, kind), {})[int(version)] = leakproof == "t"
    known, undecided, lines = decisions(), [], []
    for (function, kind), versions in sorted(found.items()):
        verdict, below = known.get((function, kind), ("undecided", "no"))
        if below != "reviewed":
            below = "leakproof" if all(versions.values()) else "no"
        if verdict == "undecided":
            undecided.append(function)
        numbers = ",".join(str(v) for v in sorted(versions))
        lines.append("\t".join((function, kind, numbers, verdict, below)))
    gone = sorted(function for function, kind in known if (function, kind) not in found)
    FILE.write_text(HEAD + "\n".join(lines) + "\n")
    print(f"{len(lines)} functions, {len(undecided)} undecided, {len(gone)} taken out")
    for title, names in (("undecided", undecided), ("taken out", gone)):
        for name in names:
            print(f"{title}: {name}")
    return 1 if undecided else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
