"""asyncpg: binary protocol, prepared statements, cursors, COPY, type introspection. See checks.py."""

import asyncio
import io
import os
import ssl

import asyncpg

import checks
from checks import APART, ASSIGNED, COUNTED, JOINED, MINE, PATIENTS, WARDS


# asyncpg reads the environment as libpq does, but looks for client keys as well when it makes a context.
TLS = {}
if os.environ["PGSSLMODE"] != "disable":
    TLS["ssl"] = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


def with_connection(check):
    async def run():
        conn = await asyncpg.connect(**TLS)
        try:
            return await check(conn)
        finally:
            await conn.close()
    return run


def plain(records):
    return [list(r.items()) for r in records]


async def results(conn):
    return [plain(await conn.fetch(sql)) for sql in (PATIENTS, JOINED, COUNTED, WARDS)]


async def prepared(conn):
    statement = await conn.prepare("SELECT name, birth_date FROM clinic.patient WHERE patient_id = $1")
    attributes = [(a.name, a.type.name) for a in statement.get_attributes()]
    parameters = [p.name for p in statement.get_parameters()]
    return attributes, parameters, [plain(await statement.fetch(MINE + APART * i)) for i in range(4)]


async def cursor(conn):
    async with conn.transaction():
        got = []
        async for record in conn.cursor(PATIENTS, prefetch=7):
            got.append(record["mrn"])
        portal = await conn.cursor(WARDS)
        await portal.forward(4)
        return got, plain(await portal.fetch(2))


async def copy_out(conn):
    out = io.BytesIO()
    said = await conn.copy_from_query(PATIENTS, output=out, format="csv")
    return said, out.getvalue().decode()


async def copy_in(conn):
    await conn.execute("CREATE TEMP TABLE loaded (a int, b text, c numeric)")
    said = await conn.copy_records_to_table("loaded", records=[(i, f"r{i}", i) for i in range(1500)])
    return said, plain(await conn.fetch("SELECT count(*), sum(c) FROM loaded"))


async def copy_table(conn):
    out = io.BytesIO()
    said = await conn.copy_from_table("ward", schema_name="clinic", columns=["code", "floor"], output=out)
    return said, out.getvalue().decode()


async def executemany(conn):
    await conn.execute("CREATE TEMP TABLE many (a int, b text[])")
    await conn.executemany("INSERT INTO many VALUES ($1, $2)", [(i, ["x", None]) for i in range(300)])
    return plain(await conn.fetch("SELECT count(*), max(a), min(b) FROM many"))


async def custom_types(conn):
    await conn.execute("CREATE TEMP TABLE pairs (p point, r int4range, j jsonb, a date[])")
    await conn.execute("INSERT INTO pairs VALUES ('(1,2)', '[1,5)', '{\"k\": [1]}', '{2020-01-01}')")
    composite = await conn.fetch("SELECT pairs AS whole FROM pairs")
    return plain(await conn.fetch("SELECT * FROM pairs")), [str(r["whole"]) for r in composite]


async def row_of_a_table(conn):
    got = await conn.fetch("SELECT w AS ward FROM clinic.ward w ORDER BY ward_id LIMIT 2")
    return [list(r["ward"].items()) for r in got]


async def any_of_array(conn):
    return plain(await conn.fetch("SELECT mrn FROM clinic.patient WHERE patient_id = ANY($1) ORDER BY 1",
                                  [MINE, MINE + APART, MINE + 2 * APART]))


async def errors(conn):
    got = []
    for sql in ("SELECT 1 / 0", "SELECT nope FROM clinic.patient", "SELEC 1", "SELECT * FROM nowhere"):
        try:
            await conn.fetch(sql)
        except asyncpg.PostgresError as error:
            got.append((type(error).__name__, error.sqlstate, error.position))
    return got


async def listen(conn):
    got = asyncio.get_running_loop().create_future()
    await conn.add_listener("matrix", lambda _conn, _pid, *heard: got.done() or got.set_result(heard))
    await conn.execute("NOTIFY matrix, 'hello'")
    return await asyncio.wait_for(got, 5)


async def timeout(conn):
    try:
        await conn.fetch("SELECT pg_sleep(20)", timeout=0.3)
    except asyncio.TimeoutError:
        return "cancelled", await conn.fetchval("SELECT 1")
    return "not cancelled"


async def savepoints(conn):
    await conn.execute("CREATE TEMP TABLE s (i int)")
    async with conn.transaction(isolation="serializable"):
        await conn.execute("INSERT INTO s VALUES (1)")
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO s VALUES (2)")
                raise RuntimeError
        except RuntimeError:
            pass
    return plain(await conn.fetch("SELECT * FROM s"))


async def pool():
    async with asyncpg.create_pool(min_size=2, max_size=4, **TLS) as made:
            return await asyncio.gather(*(made.fetchval("SELECT count(*) + $1 FROM clinic.patient", i) for i in range(12)))


USED = [results, prepared, cursor, copy_out, copy_in, copy_table, executemany, custom_types, row_of_a_table,
        any_of_array, errors, listen, savepoints]
if not ASSIGNED:
    USED.append(timeout)  # pg_sleep is closed to restricted roles
CHECKS = [(f.__name__.replace("_", " "), with_connection(f)) for f in USED]
checks.run(CHECKS + [("pool, with its reset", pool)])
