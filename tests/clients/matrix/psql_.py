"""psql: the \\d family, \\copy, \\gdesc, \\watch, what tab completion asks. See checks.py.

The commands that only look things up share a session each for a part of the list, with marks in both
of psql's outputs between them; what changes a session has one of its own.
"""

import subprocess

import checks
from checks import ASSIGNED, MINE

# What psql sends for these is long and old-fashioned catalog SQL: a good test of what is let through.
LOOKED_UP = r"""
\d
\d clinic.*
\d+ clinic.encounter
\d+ clinic.current_medication
\d clinic.patient
\dt clinic.*
\dt+ glass.*
\dv clinic.*
\dv+ clinic.*
\di clinic.*
\di+ clinic.patient_pkey
\ds clinic.*
\df glass.*
\df+ pg_catalog.lower
\du
\du+
\dg nurse*
\dn
\dn+
\dp clinic.*
\z clinic.patient
\dT
\dT+ pg_catalog.int*
\dx
\dx+
\dC
\dD
\dE
\dF
\dO
\dL
\dL+
\da pg_catalog.sum
\dA
\dAc btree int4
\db
\db+
\dc
\dd
\ddp
\des
\det
\dew
\deu
\dm
\do pg_catalog.=
\dP
\drds
\dRp
\dRs
\dX
\dy
\dl
\dconfig work_mem
\sf pg_catalog.lpad(text, integer)
\sv clinic.current_medication
\encoding
\dS pg_class
\d+ pg_catalog.pg_stat_activity
\dtS pg_catalog.pg_am
\l clinic
\l+ template1
SHOW search_path;
SHOW transaction_isolation;
SHOW server_version;
EXPLAIN (COSTS off) SELECT * FROM clinic.ward WHERE ward_id = 3;
"""

# After FROM, after a table's name, after SET, after AT TIME ZONE: in the form psql 15 sends them.
COMPLETION = {
    "relations": "SELECT c.relname, NULL::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'v', 'p')"
                 " AND c.relname LIKE 'pat%' AND pg_catalog.pg_table_is_visible(c.oid) UNION ALL"
                 " SELECT NULL::pg_catalog.text, n.nspname FROM pg_catalog.pg_namespace n WHERE n.nspname LIKE 'cl%'"
                 " ORDER BY 1, 2 LIMIT 1000;",
    "columns": "SELECT a.attname FROM pg_catalog.pg_attribute a, pg_catalog.pg_class c, pg_catalog.pg_namespace n"
               " WHERE c.oid = a.attrelid AND n.oid = c.relnamespace AND a.attnum > 0 AND NOT a.attisdropped"
               " AND a.attname LIKE 'b%' AND c.relname = 'patient' AND n.nspname = 'clinic' ORDER BY 1 LIMIT 1000;",
    "settings": "SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings WHERE context IN ('user', 'superuser')"
                " AND pg_catalog.lower(name) LIKE 'work%' ORDER BY 1;",
    "time zones": "SELECT name FROM pg_catalog.pg_timezone_names() WHERE pg_catalog.quote_literal(pg_catalog.lower(name))"
                  " LIKE pg_catalog.lower('''europe/b%') ORDER BY 1;",
}

SESSIONS = {
    "select": ["SELECT mrn, name, birth_date FROM clinic.patient ORDER BY patient_id LIMIT 25;"],
    r"\gdesc": [r"SELECT name, birth_date, count(*) OVER () FROM clinic.patient \gdesc"],
    r"\gx": [rf"SELECT * FROM clinic.patient WHERE patient_id = {MINE} \gx"],
    r"\gset": [r"SELECT count(*) AS n FROM clinic.patient \gset", r"\echo :n"],
    r"\gexec": [r"SELECT 'SELECT ' || ward_id FROM clinic.ward ORDER BY 1 LIMIT 3 \gexec"],
    r"\crosstabview": ["SELECT kind, date_part('year', admitted_at), count(*) FROM clinic.encounter GROUP BY 1, 2"
                       r" ORDER BY 1, 2 \crosstabview"],
    # Once: the second round divides by zero.
    r"\watch": ["CREATE TEMP TABLE round (i int);",
               r"WITH i AS (INSERT INTO round VALUES (1)) SELECT 1 / (1 - count(*)) FROM round \watch 0.1"],
    "FETCH_COUNT": [r"\set FETCH_COUNT 7", "SELECT mrn FROM clinic.patient ORDER BY patient_id LIMIT 30;"],
    r"\copy to": [r"\copy (SELECT mrn, sex FROM clinic.patient ORDER BY patient_id LIMIT 20) TO STDOUT (FORMAT csv, HEADER)"],
    r"\copy from": ["CREATE TEMP TABLE loaded (a int, b text);", r"\copy loaded FROM STDIN", "1\tx", "2\ty", r"\.",
                    "SELECT * FROM loaded;"],
    "several statements": [r"SELECT 1\; SELECT count(*) FROM clinic.patient\; SELECT 3;"],
    "errors": ["SELECT nope FROM clinic.patient;", "SELECT 1/0;", "SELEC 1;", "SELECT * FROM nowhere;", "SELECT 1;"],
    "ON_ERROR_ROLLBACK": [r"\set ON_ERROR_ROLLBACK on", "BEGIN;", "SELECT 1/0;",
                          "SELECT count(*) FROM clinic.patient;", "COMMIT;"],
    "variables": [r"\echo :SERVER_VERSION_NUM :ENCODING", "SELECT :'USER', current_user, session_user;"],
    "settings": ["SET work_mem = 8192;", "SHOW work_mem;", "RESET work_mem;", "SET TIME ZONE 'Europe/Berlin';",
                 "SELECT '2020-07-01 12:00Z'::timestamptz;"],
}
UNRESTRICTED = {
    "large objects": ["BEGIN;", "SELECT lo_from_bytea(0, 'large') > 0;", "ROLLBACK;"],
    r"\sf of one's own": [r"\sf glass.verifier"],
    "scrolling cursor": ["BEGIN;", "DECLARE c SCROLL CURSOR FOR SELECT mrn FROM clinic.patient ORDER BY patient_id LIMIT 9;",
                         "FETCH 3 FROM c;", "MOVE 2 IN c;", "FETCH PRIOR FROM c;", "CLOSE c;", "COMMIT;"],
    "PREPARE": ["PREPARE p (int8) AS SELECT mrn FROM clinic.patient WHERE patient_id = $1;", f"EXECUTE p ({MINE});",
                "DEALLOCATE p;"],
    "DO": ["DO $$ BEGIN RAISE NOTICE 'said'; END $$;"],
}
MARK = "@@ next @@"


def psql(lines):
    """Standard output and error of one session; LOCATION names lines of PostgreSQL's source."""
    done = subprocess.run(["psql", "-X", "-q", "-v", "VERBOSITY=verbose"], input="\n".join(lines) + "\n", text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    # \watch tells the time above each result.
    shown = "\n".join(line for line in done.stdout.splitlines() if not line.endswith("(every 0.1s)"))
    return shown, "\n".join(line for line in done.stderr.splitlines() if not line.startswith("LOCATION: "))


def looked_up(commands):
    """All commands in one session, one result each."""
    lines = []
    for command in commands:
        lines += [command, rf"\echo '{MARK}'", rf"\warn '{MARK}'"]
    out, err = (text.split(MARK) for text in psql(lines))
    for i, command in enumerate(commands):
        checks.emit(command.strip(";"), [part[i].strip() if i < len(part) else "no answer" for part in (out, err)])


looked_up(LOOKED_UP.strip().splitlines())
checks.run((f"completion: {what}", lambda sql=sql: psql([sql])) for what, sql in COMPLETION.items())
checks.run((name, lambda lines=lines: psql(lines)) for name, lines in SESSIONS.items())
if not ASSIGNED:
    checks.run((name, lambda lines=lines: psql(lines)) for name, lines in UNRESTRICTED.items())
