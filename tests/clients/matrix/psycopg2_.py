"""psycopg2: simple queries, named cursors, COPY, executemany helpers, notices. See checks.py."""

import io

import psycopg2
import psycopg2.extras

import checks
from checks import COUNTED, JOINED, MINE, PATIENTS, WARDS


def connection():
    conn = psycopg2.connect("application_name=matrix")
    conn.autocommit = True
    return conn


def rows(sql, params=None):
    cursor = connection().cursor()
    cursor.execute(sql, params)
    return [(c.name, c.type_code, c.internal_size) for c in cursor.description], cursor.fetchall()


def named_cursor():
    conn = psycopg2.connect("")
    cursor = conn.cursor(name="c")
    cursor.itersize = 5
    cursor.execute(PATIENTS)
    return list(cursor)


def holdable_cursor():
    conn = psycopg2.connect("")
    cursor = conn.cursor(name="h", withhold=True, scrollable=True)
    cursor.execute(WARDS)
    conn.commit()
    cursor.scroll(3)
    return cursor.fetchmany(4)


def copy_expert():
    out = io.StringIO()
    connection().cursor().copy_expert(f"COPY ({PATIENTS}) TO STDOUT (FORMAT csv, HEADER)", out)
    return out.getvalue()


def copy_in():
    cursor = connection().cursor()
    cursor.execute("CREATE TEMP TABLE loaded (a int, b text)")
    cursor.copy_from(io.StringIO("".join(f"{i}\tx{i}\n" for i in range(500))), "loaded")
    cursor.execute("SELECT count(*), max(b) FROM loaded")
    return cursor.fetchall()


def execute_values():
    cursor = connection().cursor()
    cursor.execute("CREATE TEMP TABLE v (a int, b text)")
    got = psycopg2.extras.execute_values(cursor, "INSERT INTO v VALUES %s RETURNING a",
                                         [(i, "it's") for i in range(250)], fetch=True)
    return len(got), got[-1]


def dict_rows():
    cursor = connection().cursor(cursor_factory=psycopg2.extras.RealDictCursor)
    cursor.execute("SELECT * FROM clinic.patient WHERE patient_id = %s", (MINE,))
    return cursor.fetchall()


def transaction():
    conn = psycopg2.connect("")
    conn.set_session(isolation_level="REPEATABLE READ", readonly=True)
    cursor = conn.cursor()
    cursor.execute("SELECT count(*) FROM clinic.patient")
    got = cursor.fetchall(), conn.get_transaction_status()
    conn.rollback()
    return got, conn.get_transaction_status()


def error_details():
    try:
        connection().cursor().execute("SELECT 1 FROM clinic.patient WHERE nothing = 1")
    except psycopg2.Error as error:
        return error.pgcode, error.diag.message_primary, error.diag.statement_position
    return None


def server_parameters():
    conn = connection()
    names = ("server_version", "server_encoding", "client_encoding", "is_superuser", "DateStyle", "TimeZone",
             "integer_datetimes", "standard_conforming_strings", "session_authorization")
    return [(n, conn.get_parameter_status(n)) for n in names], conn.server_version


checks.run([
    ("results", lambda: rows(PATIENTS)),
    ("joins", lambda: rows(JOINED)),
    ("aggregates", lambda: rows(COUNTED)),
    ("named cursor", named_cursor),
    ("holdable cursor", holdable_cursor),
    ("copy_expert", copy_expert),
    ("copy_from", copy_in),
    ("execute_values", execute_values),
    ("RealDictCursor", dict_rows),
    ("transaction", transaction),
    ("error details", error_details),
    ("server parameters", server_parameters),
])
