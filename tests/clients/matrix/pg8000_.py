"""pg8000: a driver without libpq, every statement by Parse, Describe and Flush. See checks.py."""

import os
import ssl

import pg8000.native

import checks
from checks import APART, COUNTED, JOINED, MINE, PATIENTS


def connection():
    context = None
    if os.environ["PGSSLMODE"] != "disable":
        context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    return pg8000.native.Connection(os.environ["PGUSER"], host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
                                    database=os.environ["PGDATABASE"], password=os.environ["PGPASSWORD"],
                                    ssl_context=context or False)


def rows(sql, **params):
    conn = connection()
    got = conn.run(sql, **params)
    return [(c["name"], c["type_oid"]) for c in conn.columns or []], got


def prepared():
    statement = connection().prepare("SELECT mrn FROM clinic.patient WHERE patient_id = :id")
    return [statement.run(id=MINE + APART * i) for i in range(3)]


def transaction():
    conn = connection()
    conn.run("START TRANSACTION")
    conn.run("CREATE TEMP TABLE t (i int)")
    conn.run("INSERT INTO t VALUES (1), (2)")
    got = conn.row_count
    conn.run("ROLLBACK")
    return got


checks.run([
    ("results", lambda: rows(PATIENTS)),
    ("joins", lambda: rows(JOINED)),
    ("aggregates", lambda: rows(COUNTED)),
    ("parameters", lambda: rows("SELECT name FROM clinic.patient WHERE patient_id = :id", id=MINE)),
    ("prepared", prepared),
    ("transaction", transaction),
    ("an error", lambda: checks.refused(lambda: rows("SELECT 1 / 0"))),
])
