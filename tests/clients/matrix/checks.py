"""What the Python programs of the driver matrix share: running a check and printing its result.

A program prints one line a check: its name, a tab, and the result as JSON. The same program runs
straight to PostgreSQL and through pgglass, and the lines are compared: so a result holds everything
an application could notice (values, types, column names, SQLSTATE), and nothing that differs from
run to run. Not for judging results: report.py does that. A program named after its driver ends in an
underscore, so that it does not hide the driver.

Environment: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSSLROOTCERT as libpq reads
them, and MATRIX_SCOPE, "all" or "assigned": what the login may see.
"""

import asyncio
import inspect
import json
import os

ASSIGNED = os.environ.get("MATRIX_SCOPE", "all") == "assigned"

# Statements that every driver runs. For a login of scope "assigned", the direct run is on a copy of
# the database without the other patients, so both must agree.
PATIENTS = "SELECT patient_id, mrn, name, birth_date, email FROM clinic.patient ORDER BY patient_id LIMIT 40"
JOINED = (
    "SELECT p.name, w.code, e.kind, e.admitted_at, e.charge FROM clinic.patient p"
    " JOIN clinic.encounter e USING (patient_id) LEFT JOIN clinic.ward w USING (ward_id)"
    " ORDER BY e.encounter_id LIMIT 30"
)
COUNTED = "SELECT status, count(*), max(onset) FROM clinic.problem GROUP BY status ORDER BY status"
WARDS = "SELECT * FROM clinic.ward ORDER BY ward_id"
MINE, APART = 880003, 12  # nurse_amy's patients: MINE, MINE + APART, ... to MINE + 24 * APART


def sqlstate(error):
    """The SQLSTATE of a driver's error, wherever that driver keeps it."""
    for name in ("sqlstate", "pgcode"):
        if getattr(error, name, None):
            return getattr(error, name)
    if getattr(error, "orig", None) is not None:
        return sqlstate(error.orig)
    first = error.args[0] if error.args else None
    return first.get("C") if isinstance(first, dict) else None


def emit(name, result):
    """One line; values that JSON does not know are shown by type and text."""
    shown = json.dumps(result, default=lambda value: f"{type(value).__name__}:{value}", sort_keys=True)
    print(f"{name}\t{shown}", flush=True)


def failed(error):
    """What stands for a result when a check raised."""
    return {"error": type(error).__name__, "sqlstate": sqlstate(error), "text": str(error).splitlines()[:1]}


def refused(run):
    """Runs a statement that must fail; its error is the result."""
    try:
        run()
    except Exception as error:  # noqa: BLE001 - whatever the driver raises is the result
        return [type(error).__name__, sqlstate(error)]
    return "not refused"


def run(checks):
    """Runs (name, function) pairs, coroutines included, each whatever became of the others."""

    for name, check in checks:
        try:
            if inspect.iscoroutinefunction(check):
                result = asyncio.run(asyncio.wait_for(check(), 60))
            else:
                result = check()
        except Exception as error:  # noqa: BLE001
            result = failed(error)
        emit(name, result)
