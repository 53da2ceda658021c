"""The tour through pgglass with psycopg 3: text and binary results, prepared and not.

Checks what a Python application sees; it is not a test of the policy in depth (the Rust tests
are). Environment: PGHOST, PGPORT, PGDATABASE, PGSSLROOTCERT of a running demonstration. Prints
each step; the first check that fails ends it with exit code 1.
"""

import datetime
import decimal
import os
import sys

import psycopg

ASSIGNED = 25  # patients of nurse_amy in demo/data.sql
MINE = 880003  # one of them
EMERGENCY, EMERGENCY_MRN = 881234, "MRN0001234"  # on nobody's list
OTHER_MRN = "MRN0001235"
NOTE = "unconscious, unknown anticoagulant, resus 2"

COUNT = "SELECT count(*) FROM clinic.patient"
LOOKUP = (
    "SELECT p.name, m.drug FROM clinic.patient p"
    " JOIN clinic.current_medication m USING (patient_id) WHERE p.mrn = %s"
)


def check(what, holds, got=None):
    """Prints the result of one check and ends the run if it does not hold."""
    if holds:
        print(f"   ok: {what}")
    else:
        print(f"   FAILED: {what}" + (f" (got {got!r})" if got is not None else ""))
        sys.exit(1)


def connect(user):
    """A connection through the proxy; host, port, database and CA come from the environment."""
    return psycopg.connect(
        host=os.environ["PGHOST"],
        port=os.environ["PGPORT"],
        dbname=os.environ["PGDATABASE"],
        user=user,
        password=f"{user}-demo",
        sslmode="verify-full",
        sslrootcert=os.environ["PGSSLROOTCERT"],
        application_name="tour_psycopg",
        autocommit=True,
    )


def refusal(run):
    """The error that `run` raises, or None."""
    try:
        run()
    except psycopg.Error as error:
        return error
    return None


def check_refused(what, run, code):
    """`run` must raise SQLSTATE 42501 with this GLS code in message and constraint field."""
    error = refusal(run)
    check(f"{what}: refused", error is not None)
    if error is None:
        return
    diag = error.diag
    check(f"{what}: SQLSTATE 42501", diag.sqlstate == "42501", diag.sqlstate)
    check(f"{what}: {code} in the message", code in (diag.message_primary or ""), diag.message_primary)
    check(f"{what}: {code} in the constraint field", diag.constraint_name == code, diag.constraint_name)
    if code == "GLS-201":
        check(f"{what}: the remedy in the message", "glass.open" in diag.message_primary, diag.message_primary)


def one(connection, sql, params=None, **options):
    """All rows of a statement."""
    binary = options.pop("binary", False)
    return connection.execute(sql, params, binary=binary, **options).fetchall()


def enforcement(connection, binary, prepare):
    """Own patients, types, and the refusal of a lookup outside."""
    how = {"binary": binary, "prepare": prepare}
    rows = one(connection, COUNT, **how)
    check(f"count is {ASSIGNED}", rows == [(ASSIGNED,)], rows)

    cursor = connection.execute("SELECT * FROM clinic.patient WHERE patient_id = %s", (MINE,), **how)
    names = [column.name for column in cursor.description]
    rows = cursor.fetchall()
    check("one row of her own patient", len(rows) == 1, rows)
    check("no hidden column", len(names) == 11 and not any(n.startswith("__") for n in names), names)
    check("a date is a date", isinstance(rows[0][names.index("birth_date")], datetime.date), rows)

    rows = one(
        connection,
        "SELECT r.value, r.resulted_at FROM clinic.lab_result r JOIN clinic.lab_order o USING (order_id)"
        " WHERE o.patient_id = %s AND r.value IS NOT NULL",
        (MINE,),
        **how,
    )
    check("laboratory results come", len(rows) > 0)
    check("numeric and timestamptz keep their types",
          isinstance(rows[0][0], decimal.Decimal) and rows[0][1].tzinfo is not None, rows[0])

    check_refused("lookup outside", lambda: one(connection, LOOKUP, (EMERGENCY_MRN,), **how), "GLS-201")
    rows = one(connection, COUNT, **how)
    check("the connection goes on", rows == [(ASSIGNED,)], rows)


def break_glass(connection, binary, prepare):
    """Opens the glass for one patient, reads, closes."""
    how = {"binary": binary, "prepare": prepare}
    rows = one(connection, "SELECT * FROM glass.open(%s, %s, %s)", (EMERGENCY_MRN, "BTG", NOTE), binary=binary)
    check("glass.open answers a row", len(rows) == 1, rows)
    rows = one(connection, LOOKUP, (EMERGENCY_MRN,), **how)
    check("the same lookup now answers warfarin", any(r[1] == "warfarin" for r in rows), rows)
    check_refused("another patient", lambda: one(connection, LOOKUP, (OTHER_MRN,), **how), "GLS-201")
    rows = one(connection, COUNT, **how)
    check("exactly one patient more", rows == [(ASSIGNED + 1,)], rows)
    one(connection, "SELECT glass.close()", binary=binary)
    check_refused("after closing", lambda: one(connection, LOOKUP, (EMERGENCY_MRN,), **how), "GLS-201")
    rows = one(connection, COUNT, **how)
    check("her own patients are still there", rows == [(ASSIGNED,)], rows)


def other_ways(connection):
    """COPY, server-side cursors, a pipeline, a transaction."""
    with connection.cursor().copy("COPY (SELECT ward_id FROM clinic.ward) TO STDOUT") as copy:
        rows = list(copy.rows())
    check("COPY of a reference table works", len(rows) == 12, len(rows))

    with connection.transaction(), connection.cursor(name="mine") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT ward_id FROM clinic.ward ORDER BY ward_id")
        rows = list(cursor)
    check("a server-side cursor over a reference table works", len(rows) == 12, len(rows))

    for form in ("", " (FORMAT binary)"):
        with connection.cursor().copy(f"COPY (SELECT patient_id, name FROM clinic.patient) TO STDOUT{form}") as copy:
            if form:
                copy.set_types(["int8", "text"])
            rows = list(copy.rows())
        check(f"COPY{form} of a protected table gives her own patients", len(rows) == ASSIGNED, len(rows))
        check("... and nothing beside their columns", all(len(r) == 2 for r in rows), rows[:1])

    for binary in (False, True):
        with connection.transaction(), connection.cursor(name="mine", scrollable=True) as cursor:
            cursor.itersize = 7
            query = "SELECT patient_id, name FROM clinic.patient WHERE patient_id > %s ORDER BY patient_id"
            cursor.execute(query, (0,), binary=binary)
            names = [column.name for column in cursor.description]
            rows = list(cursor)
            cursor.scroll(0, mode="absolute")
            again = cursor.fetchmany(2)
        check("a server-side cursor shows her patients", names == ["patient_id", "name"] and len(rows) == ASSIGNED, (names, len(rows)))
        check("and goes back", again == rows[:2], again)
        with connection.cursor(name="held", withhold=True) as cursor:
            cursor.execute("SELECT patient_id FROM clinic.patient ORDER BY patient_id", binary=binary)
            check("one that is held as well", len(cursor.fetchall()) == ASSIGNED)

    with connection.pipeline():
        first = connection.execute(COUNT)
        second = connection.execute("SELECT count(*) FROM clinic.note WHERE patient_id = %s", (MINE,))
    check("a pipeline answers in order", first.fetchone() == (ASSIGNED,) and second.fetchone()[0] > 0)

    def in_transaction():
        with connection.transaction():
            connection.execute(LOOKUP, (EMERGENCY_MRN,)).fetchall()

    check_refused("lookup in a transaction", in_transaction, "GLS-201")
    rows = one(connection, COUNT)
    check("the connection goes on after the rollback", rows == [(ASSIGNED,)], rows)


def masks(connection, binary, prepare):
    """Billing sees everyone masked, and no notes."""
    how = {"binary": binary, "prepare": prepare}
    rows = one(connection, "SELECT ssn, phone, birth_date FROM clinic.patient WHERE mrn = %s", ("MRN0000001",), **how)
    check("one row", len(rows) == 1, rows)
    ssn, phone, birth_date = rows[0]
    check("number redacted", ssn == "***", ssn)
    check("telephone cut to two digits", phone[:-2] == "*" * (len(phone) - 2) and phone[-2:].isdigit(), phone)
    check("birth date cut to the year", (birth_date.month, birth_date.day) == (1, 1), birth_date)
    error = refusal(lambda: one(connection, "SELECT body FROM clinic.note LIMIT 1", **how))
    check("notes are refused with 42501", error is not None and error.sqlstate == "42501", error)


def main():
    modes = [(binary, prepare) for binary in (False, True) for prepare in (False, True)]
    for binary, prepare in modes:
        label = f"{'binary' if binary else 'text'} results, {'prepared' if prepare else 'not prepared'}"
        print(f"\n== nurse_amy: {label} ==")
        with connect("nurse_amy") as connection:
            enforcement(connection, binary, prepare)
            break_glass(connection, binary, prepare)
        print(f"\n== bill_eva: {label} ==")
        with connect("bill_eva") as connection:
            masks(connection, binary, prepare)
    print("\n== nurse_amy: COPY, cursor, pipeline, transaction ==")
    with connect("nurse_amy") as connection:
        other_ways(connection)
    print("\npsycopg", psycopg.__version__, "- the tour passed")


if __name__ == "__main__":
    main()
