"""Runs tools.sql through psycopg, one session a group of statements. See tools.sql and checks.py."""

import pathlib

import psycopg

import checks

STATEMENTS = pathlib.Path(__file__).with_name("tools.sql")


def groups():
    """Title to statements; the comment at the top of the file ends with an empty line."""
    found, title = {}, None
    for line in STATEMENTS.read_text(encoding="utf-8").partition("\n\n")[2].splitlines():
        if line.startswith("--"):
            title = line.lstrip("- ")
        elif line.strip():
            found.setdefault(title, []).append(line)
    return found


def answer(connection, statement):
    cursor = connection.execute(statement.encode())
    if cursor.description is None:
        return cursor.statusmessage
    return [[c.name for c in cursor.description], cursor.fetchall()]


for statements in groups().values():
    with psycopg.connect("application_name=matrix", autocommit=True) as conn:
        checks.run((statement[:70].rstrip(), lambda statement=statement: answer(conn, statement))
                   for statement in statements)
