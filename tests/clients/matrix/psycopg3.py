"""psycopg 3: synchronous, asynchronous, pipeline, COPY, server-side cursors. See checks.py."""

import asyncio
import threading

import psycopg
from psycopg.rows import dict_row

import checks
from checks import APART, ASSIGNED, COUNTED, JOINED, MINE, PATIENTS, WARDS

CONNINFO = "application_name=matrix"  # the rest comes from the environment


def connection(**options):
    return psycopg.connect(CONNINFO, autocommit=True, **options)


def described(cursor):
    return [(c.name, c.type_code, c.internal_size) for c in cursor.description]


def rows(sql, params=None, **how):
    with connection() as conn:
        cursor = conn.execute(sql, params, **how)
        return described(cursor), cursor.fetchall()


def prepared():
    with connection() as conn:
        sql = "SELECT mrn FROM clinic.patient WHERE patient_id = %s"
        return [conn.execute(sql, (MINE + APART * i,), prepare=True).fetchall() for i in range(6)]


def pipeline():
    with connection() as conn, conn.pipeline() as pipe:
        cursors = [conn.execute("SELECT count(*) FROM clinic.problem WHERE patient_id = %s", (MINE + APART * i,))
                   for i in range(20)]
        pipe.sync()
        return [c.fetchall() for c in cursors]


def pipeline_with_an_error():
    said = []
    with connection() as conn:
        try:
            with conn.pipeline():
                conn.execute("SELECT 1")
                conn.execute("SELECT 1 / 0")
                conn.execute("SELECT 2")
        except psycopg.Error as error:
            said.append(error.sqlstate)
        said.append(conn.execute(PATIENTS).fetchone())
    return said


def server_side_cursor():
    with connection() as conn, conn.transaction(), conn.cursor(name="c") as cursor:
        cursor.itersize = 7
        cursor.execute(PATIENTS)
        first = cursor.fetchmany(3)
        return first, list(cursor)


def scrolling_cursor():
    with connection() as conn, conn.transaction(), conn.cursor(name="c", scrollable=True) as cursor:
        cursor.execute(WARDS)
        cursor.scroll(5)
        there = cursor.fetchone()
        cursor.scroll(0, mode="absolute")
        return there, cursor.fetchone()


def copy_out(sql, **types):
    with connection() as conn, conn.cursor().copy(sql) as copy:
        return b"".join(bytes(part) for part in copy).hex() if types else list(copy.rows())


def copy_in():
    with connection() as conn:
        conn.execute("CREATE TEMP TABLE loaded (id int8, said text, at timestamptz)")
        with conn.cursor().copy("COPY loaded FROM STDIN") as copy:
            for i in range(2000):
                copy.write_row((i, f"line\t{i}\\", None))
        return conn.execute("SELECT count(*), sum(id), min(said) FROM loaded").fetchall()


def executemany():
    with connection() as conn:
        conn.execute("CREATE TEMP TABLE many (id int8, said text)")
        cursor = conn.cursor()
        cursor.executemany("INSERT INTO many VALUES (%s, %s) RETURNING id", [(i, str(i)) for i in range(50)],
                           returning=True)
        returned = [cursor.fetchone()]
        while cursor.nextset():
            returned.append(cursor.fetchone())
        return returned, conn.execute("SELECT count(*) FROM many").fetchone()


def transactions():
    with psycopg.connect(CONNINFO) as conn:
        conn.execute("CREATE TEMP TABLE t (i int)")
        with conn.transaction():
            conn.execute("INSERT INTO t VALUES (1)")
            try:
                with conn.transaction("inner"):
                    conn.execute("INSERT INTO t VALUES (2)")
                    raise psycopg.Rollback("inner")
            except psycopg.Rollback:
                pass
        state = conn.info.transaction_status.name
        return state, conn.execute("SELECT * FROM t").fetchall()


def notices_and_notify():
    seen = []
    with connection() as conn, connection() as other:
        conn.add_notice_handler(lambda d: seen.append((d.severity, d.sqlstate, d.message_primary)))
        conn.execute("DO $$ BEGIN RAISE NOTICE 'said'; END $$")
        conn.execute("LISTEN matrix")
        other.execute("NOTIFY matrix, 'hello'")
        return seen, [(n.channel, n.payload) for n in conn.notifies(timeout=5, stop_after=1)]


def several_statements():
    with connection() as conn:
        cursor = conn.execute("SELECT 1; SELECT count(*) FROM clinic.patient; SELECT 'x' AS y")
        sets = [cursor.fetchall()]
        while cursor.nextset():
            sets.append(cursor.fetchall())
        return sets


def error_details():
    with connection() as conn:
        try:
            conn.execute("SELECT *\nFROM nowhere")
        except psycopg.Error as error:
            d = error.diag
            return d.sqlstate, d.message_primary, d.statement_position, d.severity
    return None


def stream():
    with connection() as conn:
        return list(conn.cursor(row_factory=dict_row).stream(PATIENTS))


def cancel():
    with connection() as conn:
        threading.Timer(0.5, conn.cancel_safe).start()
        got = checks.refused(lambda: conn.execute("SELECT pg_sleep(20)"))
        return got, conn.execute("SELECT 1").fetchone()


async def concurrently():
    async def one(i):
        async with await psycopg.AsyncConnection.connect(CONNINFO, autocommit=True) as conn:
            cursor = await conn.execute("SELECT %s::int, count(*) FROM clinic.patient", (i,))
            return await cursor.fetchone()
    return await asyncio.gather(*(one(i) for i in range(8)))


CHECKS = [
    ("text results", lambda: rows(PATIENTS)),
    ("binary results", lambda: rows(JOINED, binary=True)),
    ("aggregates", lambda: rows(COUNTED)),
    ("prepared", prepared),
    ("pipeline", pipeline),
    ("pipeline with an error", pipeline_with_an_error),
    ("server-side cursor", server_side_cursor),
    ("scrolling cursor", scrolling_cursor),
    ("COPY out, text", lambda: copy_out(f"COPY ({PATIENTS}) TO STDOUT")),
    ("COPY out, binary", lambda: copy_out(f"COPY ({JOINED}) TO STDOUT (FORMAT binary)", raw=True)),
    ("executemany", executemany),
    ("COPY in", copy_in),
    ("transactions", transactions),
    ("notices and NOTIFY", notices_and_notify),
    ("several statements", several_statements),
    ("error details", error_details),
    ("stream", stream),
    ("cancel", cancel),
    ("async, concurrently", concurrently),
]

if ASSIGNED:
    # DO and pg_sleep are closed to restricted roles.
    CHECKS = [c for c in CHECKS if c[0] not in ("notices and NOTIFY", "cancel")]
checks.run(CHECKS)
