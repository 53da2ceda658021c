"""SQLAlchemy: reflection of the demonstration's schema and the ORM on top of it. See checks.py."""

from sqlalchemy import MetaData, create_engine, func, inspect, select, text
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

import checks
from checks import MINE


def engine(driver):
    return create_engine(f"postgresql+{driver}://")  # all of libpq's environment variables count


def reflection(driver):
    inspector = inspect(engine(driver))
    found = {"schemas": inspector.get_schema_names(), "views": inspector.get_view_names(schema="clinic"),
             "sequences": inspector.get_sequence_names(schema="clinic"),
             "enums": inspector.get_enums(schema="*"), "domains": inspector.get_domains(schema="*"), "tables": {}}
    for table in inspector.get_table_names(schema="clinic"):
        of = {"schema": "clinic"}
        found["tables"][table] = {
            "columns": inspector.get_columns(table, **of),
            "key": inspector.get_pk_constraint(table, **of),
            "foreign": inspector.get_foreign_keys(table, **of),
            "indexes": inspector.get_indexes(table, **of),
            "unique": inspector.get_unique_constraints(table, **of),
            "checks": inspector.get_check_constraints(table, **of),
            "comment": inspector.get_table_comment(table, **of),
        }
    return found


def metadata(driver):
    meta = MetaData(schema="clinic")
    meta.reflect(engine(driver), views=True)
    return sorted((t.fullname, [c.name for c in t.columns], sorted(str(f.target_fullname) for f in t.foreign_keys))
                  for t in meta.tables.values())


def orm(driver):
    made = engine(driver)
    meta = MetaData(schema="clinic")
    meta.reflect(made, only=["patient", "encounter", "ward", "problem"])
    base = automap_base(metadata=meta)
    base.prepare()
    patient, encounter, problem = base.classes.patient, base.classes.encounter, base.classes.problem
    with Session(made) as session:
        one = session.get(patient, MINE)
        counted = session.execute(
            select(patient.name, func.count(problem.problem_id)).join(problem).group_by(patient.patient_id, patient.name)
            .order_by(patient.name, patient.patient_id)).all()
        paged = session.scalars(select(encounter.complaint).join(patient).where(patient.sex == "F")
                                .order_by(encounter.encounter_id).limit(10).offset(5)).all()
        exists = session.scalar(select(func.count()).select_from(patient)
                                .where(select(problem).where(problem.patient_id == patient.patient_id).exists()))
        return one.name, [list(r) for r in counted], paged, exists


def streaming(driver):
    with engine(driver).connect() as conn:
        got = conn.execution_options(stream_results=True, max_row_buffer=10).execute(
            text("SELECT mrn FROM clinic.patient ORDER BY patient_id LIMIT 50"))
        return [r[0] for r in got]


CHECKS = []
for used in ("psycopg", "psycopg2"):
    for check in (reflection, metadata, orm, streaming):
        CHECKS.append((f"{check.__name__}, {used}", lambda check=check, used=used: check(used)))
checks.run(CHECKS)
