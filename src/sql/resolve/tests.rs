//! Decisions, statement by statement; the numbered ones are the ways in of the threat list.

use super::{Decision, SessionObject, Usage, decide, survey};
use crate::policy::Scope;
use crate::sql::fixture::{Clinic, role};
use crate::sql::parse::parse;

fn decisions(clinic: &Clinic, sql: &str) -> Vec<Decision> {
    let parsed = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    parsed.statements.iter().map(|s| decide(s, &clinic.context())).collect()
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Verbatim => "verbatim",
        Decision::NeedsGuard { .. } => "guard",
        Decision::Unattributed { .. } => "unattributed",
        Decision::Session(_) => "session",
        Decision::UnknownRelation { .. } => "unknown",
        Decision::Copy { .. } => "copy",
        Decision::Refused(r) => r.code.as_str(),
    }
}

#[track_caller]
fn expect(clinic: &Clinic, expected: &str, texts: &[&str]) {
    for sql in texts {
        let seen: Vec<_> = decisions(clinic, sql).iter().map(word).collect();
        assert_eq!(seen, [expected], "{sql}: {:?}", decisions(clinic, sql));
    }
}

#[test]
fn b1_to_b19_reads_of_protected_tables_need_guards() {
    expect(
        &Clinic::new(),
        "guard",
        &[
            "SELECT ssn AS x FROM patients",
            "SELECT left(ssn,3) FROM patients",
            "SELECT p FROM patients p",
            "SELECT to_jsonb(p) FROM patients p",
            "SELECT (d.s).ssn FROM (SELECT patients AS s FROM patients) d",
            "SELECT to_jsonb(l.s) FROM patients p, LATERAL (SELECT p AS s) l",
            "TABLE patients",
            "SELECT (p).* FROM patients p",
            "SELECT name FROM patients UNION ALL SELECT ssn FROM patients",
            "SELECT b FROM patients AS t(a,b,c,d)",
            "SELECT * FROM patients NATURAL JOIN (SELECT ssn FROM patients) q",
            "SELECT count(*) FROM patients",
            "SELECT U&\"\\0073sn\" FROM U&\"pat\\0069ents\"",
            "SELECT * FROM \"patients\"",
            "SELECT * FROM PATIENTS",
            "SELECT * FROM patients_2024",
            "SELECT * FROM ONLY patients",
            "WITH x AS (DELETE FROM patients RETURNING *) SELECT * FROM x",
            "MERGE INTO notes USING patients p ON true WHEN MATCHED THEN UPDATE SET body = ssn",
            "SELECT (SELECT max(ssn) FROM patients)",
            "SELECT 1 FROM ward WHERE EXISTS (SELECT 1 FROM patients)",
            "SELECT 1 ORDER BY (SELECT 1 FROM patients)",
            "SELECT 1 LIMIT (SELECT count(*) FROM patients)",
            "SELECT sum(1) OVER (ORDER BY (SELECT 1 FROM patients))",
            "VALUES ((SELECT ssn FROM patients))",
            "UPDATE patients SET name = 'x'",
            "INSERT INTO notes (mrn) SELECT mrn FROM patients",
            "SELECT * FROM patients FOR UPDATE",
            "SELECT * FROM patients TABLESAMPLE system (10)",
            "DELETE FROM ward USING patients",
        ],
    );
}

#[test]
fn b57_b58_copies_between_client_and_protected_tables_are_planned() {
    let copies = [
        "COPY patients TO STDOUT",
        "COPY patients FROM STDIN",
        "COPY (SELECT ssn FROM patients) TO STDOUT (FORMAT binary)",
    ];
    let mut clinic = Clinic::new();
    expect(&clinic, "copy", &copies);
    clinic.role = role(Scope::All);
    expect(&clinic, "copy", &copies);
}

/// The hint names the function as `functions` of a role does: with the schema that the call means.
#[test]
fn functions_are_offered_as_the_configuration_names_them() {
    let clinic = Clinic::new();
    for (text, named) in [
        ("SELECT get_ssn(mrn) FROM notes", "\"public.get_ssn\""),
        ("SELECT public.get_ssn(1)", "\"public.get_ssn\""),
        ("SELECT name, pg_sleep(1) FROM patients", "\"pg_catalog.pg_sleep\""),
        ("SELECT name, pg_catalog.pg_sleep(1) FROM patients", "\"pg_catalog.pg_sleep\""),
        // The built-in one is allowed.
        ("SELECT reverse(name) FROM patients", "\"public.reverse\""),
        ("SELECT n.row_secret FROM notes n", "\"public.row_secret\""),
    ] {
        let parsed = crate::sql::parse::parse(text).expect(text);
        let super::Decision::Refused(refusal) = decide(&parsed.statements[0], &clinic.context()) else {
            panic!("{text} is not refused");
        };
        let hint = refusal.hint.unwrap_or_default();
        assert!(hint.ends_with(&format!("[role.nurse]: functions = [{named}]")), "{text}: {hint}");
    }
}

/// What escapes the map of rows to patients is refused with a form that does not.
#[test]
fn copies_of_protected_rows_are_refused_with_what_to_use_instead() {
    let clinic = Clinic::new();
    for text in [
        "CREATE TABLE t AS SELECT ssn FROM patients",
        "CREATE TEMP TABLE t AS SELECT ssn FROM patients",
        "SELECT ssn INTO TEMP t FROM patients",
        "SELECT ssn INTO t FROM patients",
        "INSERT INTO ward (name) SELECT ssn FROM patients",
        "INSERT INTO tmp SELECT ssn FROM patients",
        "INSERT INTO secret SELECT ssn FROM patients",
        "UPDATE ward SET name = p.ssn FROM patients p",
        "WITH x AS (INSERT INTO tmp SELECT ssn FROM patients) SELECT 1",
        "MERGE INTO ward USING patients p ON true WHEN MATCHED THEN UPDATE SET name = ssn",
        "CREATE VIEW v AS SELECT ssn FROM patients",
        "CREATE MATERIALIZED VIEW v AS SELECT ssn FROM patients",
    ] {
        let parsed = crate::sql::parse::parse(text).expect(text);
        match decide(&parsed.statements[0], &clinic.context()) {
            super::Decision::Refused(refusal) => {
                assert!(refusal.hint.as_deref().is_some_and(|h| !h.is_empty()), "{text}: {refusal}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn b26_to_b34_and_b53_to_b90_are_refused() {
    expect(
        &Clinic::new(),
        "GLS-240",
        &[
            "DO $$BEGIN RAISE NOTICE '%',(SELECT ssn FROM patients LIMIT 1); END$$",
            "SELECT query_to_xml('SELECT * FROM patients',true,false,'')",
            "SELECT table_to_xml('patients',true,false,'')",
            "SELECT cursor_to_xml('c',10,true,false,'')",
            "SELECT * FROM ts_stat('SELECT to_tsvector(body) FROM notes')",
            "SELECT * FROM dblink('dbname=ehr','SELECT ssn FROM patients') t(s text)",
            "SELECT get_ssn(mrn) FROM notes",
            "SELECT public.get_ssn(1)",
            "SELECT n.row_secret FROM notes n",
            "SELECT (n).row_secret FROM notes n",
            "SELECT ('5'::float8).pg_sleep",
            "SELECT reverse('shadowed by a function of another schema')",
            "SELECT pg_catalog.pg_sleep(1) FROM ward",
            "SELECT * FROM patients WHERE ssn OPERATOR(public.=) 'x'",
            "PREPARE q AS SELECT ssn FROM patients",
            "DECLARE c CURSOR FOR SELECT ssn FROM patients",
            "COPY patients TO PROGRAM 'curl'",
            "COPY patients TO '/tmp/x'",
            "COPY patients FROM PROGRAM 'curl'",
            "COPY ward TO PROGRAM 'curl'",
            "COPY ward TO '/tmp/x'",
            "CREATE TABLE t AS SELECT ssn FROM patients",
            "CREATE TEMP TABLE t AS SELECT ssn FROM patients",
            "SELECT ssn INTO TEMP t FROM patients",
            "SELECT id INTO t FROM ward",
            "INSERT INTO ward (name) SELECT ssn FROM patients",
            "INSERT INTO tmp SELECT ssn FROM patients",
            "UPDATE ward SET name = p.ssn FROM patients p",
            "WITH x AS (INSERT INTO tmp SELECT ssn FROM patients) SELECT 1",
            "WITH x AS (MERGE INTO notes USING patients p ON true WHEN MATCHED THEN UPDATE SET body = ssn RETURNING 1) SELECT 1",
            "CREATE VIEW v AS SELECT ssn FROM patients",
            "ALTER TABLE patients RENAME TO z",
            "ALTER TABLE notes ADD c text GENERATED ALWAYS AS (body) STORED",
            "EXPLAIN SELECT * FROM patients WHERE ssn='123'",
            "EXPLAIN ANALYZE DELETE FROM patients",
            "SELECT ctid, xmin FROM patients",
            "SELECT xmax = 0 FROM patients",
            "UPDATE patients SET name = 'x' RETURNING xmax = 0",
            "INSERT INTO patients (mrn) VALUES (1) RETURNING xmax = 0",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING xmax",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING xmax = 5",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING xmax = '5', xmax = 0",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING xmin = 0",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING (SELECT xmax = 0 FROM notes)",
            "INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' WHERE patients.xmax = 0",
            "WITH x AS (INSERT INTO patients (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = 'x' RETURNING 1) SELECT xmax = 0 FROM notes",
            "SELECT lo_get(123)",
            "SELECT pg_notify('c', ssn) FROM patients",
            "SELECT set_config('app.x', ssn, false) FROM patients",
            "SELECT pg_advisory_lock(ssn::bigint) FROM patients",
            "SET ROLE ehr_owner",
            "SET SESSION AUTHORIZATION x",
            "SET row_security = off",
            "SET LOCAL session_replication_role = replica",
            "SET standard_conforming_strings = off",
            "SET client_encoding = 'SJIS'",
            "SET NAMES 'SJIS'",
            "SET client_min_messages = debug5",
            "SET debug_print_plan = on",
            "SET TRANSACTION SNAPSHOT '00000003-1'",
            "PREPARE TRANSACTION 'x'",
            "CALL p()",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE TEMP TABLE patients (mrn int)",
            "CREATE TEMP TABLE assigned (mrn int)",
            "CREATE TABLE pg_temp.ward (id int)",
            "CREATE TABLE t (id int)",
            "CREATE TEMP TABLE t (LIKE patients INCLUDING ALL)",
            "CREATE TEMP TABLE t (a int DEFAULT get_ssn(1))",
            "DROP TABLE patients",
            "LOCK TABLE patients",
            "TRUNCATE notes",
            "CREATE INDEX ON patients (ssn)",
            "VACUUM patients",
            "ANALYZE",
            "LOAD 'x'",
            "CREATE TRIGGER t AFTER INSERT ON ward EXECUTE FUNCTION f()",
            "CREATE RULE r AS ON SELECT TO ward DO INSTEAD SELECT 1",
            "REFRESH MATERIALIZED VIEW m",
            "ALTER SYSTEM SET x = 1",
            "DELETE FROM patients WHERE CURRENT OF c",
        ],
    );
}

#[test]
fn b73_to_b79_closed_relations() {
    expect(
        &Clinic::new(),
        "GLS-220",
        &[
            "SELECT * FROM secret",
            "SELECT * FROM all_patients_v",
            "SELECT * FROM glass.assigned",
            "SELECT most_common_vals FROM pg_stats",
            "SELECT * FROM pg_catalog.pg_stats_ext",
            "SELECT query FROM pg_stat_activity",
            "SELECT * FROM pg_toast.pg_toast_1",
            "SELECT attmissingval FROM pg_attribute",
            "UPDATE pg_settings SET setting='off' WHERE name='row_security'",
            "SELECT 1 FROM patients, secret",
            "COPY secret TO STDOUT",
            "EXPLAIN SELECT * FROM secret",
        ],
    );
}

#[test]
fn b100_what_applications_do_all_day_goes_through() {
    expect(
        &Clinic::new(),
        "verbatim",
        &[
            "SELECT 1",
            "SELECT has_table_privilege('patients','delete') AS delete",
            "SELECT * FROM ward",
            "INSERT INTO ward (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING id",
            "SELECT ctid FROM ward",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT a",
            "RELEASE a",
            "ROLLBACK TO a",
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "SET TRANSACTION READ ONLY",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET extra_float_digits = 3",
            "SET application_name = 'x'",
            "SET search_path = a, b",
            "SET DateStyle = ISO",
            "SET client_encoding = 'UTF8'",
            "SET NAMES 'utf8'",
            "SET standard_conforming_strings = on",
            "SET TIME ZONE 'UTC'",
            "SET client_min_messages TO WARNING",
            "SET app.tenant = 'x'",
            "RESET ALL",
            "RESET ROLE",
            "SHOW ALL",
            "SHOW transaction_isolation",
            "DISCARD ALL",
            "DEALLOCATE ALL",
            "LISTEN c",
            "UNLISTEN *",
            "CREATE TEMP TABLE t (a int PRIMARY KEY, b text DEFAULT now())",
            "CREATE INDEX ON tmp (a)",
            "CREATE TEMP TABLE t AS SELECT * FROM ward",
            "DROP TABLE tmp",
            "DROP TABLE IF EXISTS nowhere",
            "TRUNCATE tmp",
            "DECLARE c CURSOR FOR SELECT * FROM ward",
            "COPY ward TO STDOUT",
            "COPY tmp FROM STDIN",
            "COPY (SELECT * FROM ward) TO STDOUT",
            "EXPLAIN ANALYZE SELECT * FROM ward",
            "PREPARE q AS SELECT * FROM ward",
            "WITH patients AS (SELECT 1) SELECT * FROM patients",
            "SELECT t.typname FROM pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace",
            "SELECT table_name FROM information_schema.tables",
            "SELECT c.oid, pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_class c LEFT JOIN pg_attrdef d ON d.adrelid = c.oid WHERE pg_catalog.pg_table_is_visible(c.oid)",
            "SELECT information_schema._pg_expandarray(i.indkey) FROM pg_catalog.pg_index i",
            "SELECT fmt('allowed by the role')",
            "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default",
            "SELECT pg_advisory_unlock_all()", // asyncpg, when a connection goes back to its pool
            // pgjdbc: getIndexInfo, getColumns
            "SELECT tmp.TABLE_NAME, trim(both '\"' from pg_catalog.pg_get_indexdef(tmp.CI_OID, tmp.ORDINAL_POSITION, false)) FROM (SELECT ct.relname AS TABLE_NAME, (information_schema._pg_expandarray(i.indkey)).n AS ORDINAL_POSITION, ci.reltuples AS CARDINALITY, ci.oid AS CI_OID FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_index i ON ct.oid = i.indrelid JOIN pg_catalog.pg_class ci ON ci.oid = i.indexrelid) AS tmp",
            "SELECT * FROM (SELECT n.nspname, a.atttypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') AS attidentity, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_attribute a ON true LEFT JOIN pg_catalog.pg_attrdef def ON a.attrelid = def.adrelid) c",
            // Npgsql's type loading
            "SELECT ns.nspname, typ.oid, CASE WHEN proc.proname = 'array_recv' THEN 'a' ELSE typ.typtype END FROM pg_type AS typ JOIN pg_namespace AS ns ON ns.oid = typ.typnamespace JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON pg_range.rngtypid = typ.oid",
            "SELECT version(), current_setting('server_version_num'), current_schema()",
            "SELECT pg_catalog.reverse('qualified')",
            "MERGE INTO ward USING tmp ON true WHEN MATCHED THEN DELETE",
        ],
    );
}

/// A function that no schema has is what PostgreSQL says it is; one that is somewhere is not allowed.
#[test]
fn a_function_that_does_not_exist_is_said_to_be_missing() {
    let clinic = Clinic::new();
    for (sql, sqlstate) in [
        ("SELECT nofn(name) FROM patients", "42883"),
        ("SELECT public.nofn(name) FROM patients", "42883"),
        ("SELECT nofn(1)", "42883"),
        ("SELECT get_ssn(1)", "42501"),
        ("SELECT gender('x')", "42501"),
        ("SELECT ward(id) FROM ward", "42501"),
        // A column, written like one (`p.ssn`); no other relation has it, and no schema.
        ("SELECT ssn(p) FROM patients p", "42501"),
        ("SELECT ssn(w) FROM ward w", "42883"),
        ("SELECT public.ssn(p) FROM patients p", "42883"),
        ("SELECT pg_temp.nofn(1)", "42501"),
        ("SELECT pg_sleep(1) FROM ward", "42501"),
        ("SELECT pg_catalog.pg_sleep(1) FROM ward", "42501"),
    ] {
        match decisions(&clinic, sql).as_slice() {
            [Decision::Refused(refusal)] => assert_eq!(refusal.sqlstate, sqlstate, "{sql}: {refusal}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// `alias.name` is a call only where what the alias can mean has no such column.
#[test]
fn a_column_named_like_a_function_is_a_column() {
    let mut clinic = Clinic::new();
    let takes_row = clinic.catalog.functions["row_secret"].clone();
    clinic.catalog.functions.insert("name".into(), takes_row.clone());
    clinic.catalog.functions.insert("unit".into(), takes_row);
    let clinic = &clinic;
    expect(
        clinic,
        "guard",
        &[
            "SELECT p.name FROM patients p",
            "SELECT patients.name FROM public.patients WHERE public.patients.name = 'x'",
            "SELECT x.name FROM (SELECT p.name FROM patients p) x",
            "SELECT x.row_secret FROM (SELECT mrn AS row_secret FROM notes) x",
            "WITH x AS (SELECT * FROM patients) SELECT x.name FROM x",
            "UPDATE patients SET weight = 1 FROM ward w WHERE w.name = patients.name RETURNING patients.name",
            "INSERT INTO patients AS p (mrn) VALUES (1) ON CONFLICT (mrn) DO UPDATE SET name = excluded.name || p.name",
            "SELECT (SELECT p.name FROM ward n WHERE n.name = p.name) FROM patients p, notes n WHERE p.name = 'x'",
            "SELECT p.name, n.body FROM patients p JOIN (SELECT q.body, q.mrn FROM notes q) n ON p.name = n.body JOIN (SELECT q.name FROM ward q) v ON true",
            "SELECT p.name FROM patients p JOIN LATERAL (SELECT w.name FROM ward w WHERE w.name = p.name) v ON true",
            "MERGE INTO patients t USING ward s ON t.mrn = s.mrn WHEN MATCHED THEN UPDATE SET name = s.name || t.name",
        ],
    );
    expect(
        clinic,
        "GLS-240",
        &[
            "SELECT n.name FROM notes n",
            "SELECT n.name FROM notes n, patients p WHERE p.name = 'x'",
            "SELECT (SELECT public.notes.name FROM patients notes) FROM notes",
            "SELECT (SELECT n.name FROM ward) FROM notes n",
            "SELECT 1 FROM patients p, (SELECT p.name FROM ward) x, notes n WHERE n.name = 'x'",
            "SELECT p.name FROM patients p, (SELECT (SELECT p.name) FROM notes p) x",
            "SELECT (SELECT 1 FROM patients n, (SELECT n.name) x) FROM notes n",
            "SELECT p.name FROM patients p WHERE EXISTS (SELECT p.name FROM notes p)",
            "WITH x AS (SELECT 1) SELECT x.name FROM x, patients",
            "SELECT p.name FROM patients p (a, b)",
            "SELECT x.name FROM (SELECT p.mrn FROM patients p) x",
            "SELECT x.name FROM (SELECT mrn FROM patients UNION SELECT 1 AS name) x",
            "SELECT x.name FROM (SELECT n.* FROM patients p, notes n) x",
            "WITH a AS (SELECT notes.name FROM notes), notes AS (SELECT 'x' AS name) SELECT notes.name FROM notes",
            "WITH RECURSIVE r AS (SELECT mrn FROM notes UNION SELECT r.name FROM r) SELECT 1 FROM r",
            "INSERT INTO notes AS p (mrn) VALUES (1) ON CONFLICT (id) DO UPDATE SET body = excluded.name",
            "SELECT excluded.name FROM patients excluded, (VALUES (1)) v WHERE EXISTS (WITH x AS (INSERT INTO notes (mrn) VALUES (1) \
             ON CONFLICT (id) DO UPDATE SET body = excluded.name RETURNING 1) SELECT 1 FROM x)",
            "SELECT p.unit FROM patients p, lower('x')",
            "SELECT lower.name FROM lower('x')",
            "SELECT t.name FROM tmp t, patients",
            "SELECT j.unit FROM (patients p JOIN notes n USING (mrn)) j",
            "SELECT j.name FROM (patients p JOIN notes n USING (mrn)) AS j (name), patients q JOIN ward w USING (mrn) AS j",
            "SELECT (p).name FROM patients p",
        ],
    );
}

#[test]
fn b35_b36_every_statement_of_a_string_is_decided() {
    let clinic = Clinic::new();
    let words: Vec<_> = decisions(&clinic, "COMMIT; DROP TABLE patients; SELECT 1; SELECT * FROM patients")
        .iter()
        .map(word)
        .collect();
    assert_eq!(words, ["verbatim", "GLS-240", "verbatim", "guard"]);
}

#[test]
fn names_that_only_the_session_knows() {
    let clinic = Clinic::new();
    assert_eq!(decisions(&clinic, "FETCH ALL c"), [Decision::Session(SessionObject::Cursor("c".into()))]);
    assert_eq!(decisions(&clinic, "EXECUTE q (1)"), [Decision::Session(SessionObject::Prepared("q".into()))]);
    expect(&clinic, "GLS-240", &["EXECUTE q (pg_read_file('x'))"]);
}

#[test]
fn unknown_relations_ask_for_a_fresh_catalog_once() {
    let clinic = Clinic::new();
    for sql in [
        "SELECT * FROM nowhere",
        "SELECT * FROM patients, nowhere",
        "COPY nowhere TO STDOUT",
        "EXPLAIN SELECT * FROM nowhere",
    ] {
        match decisions(&clinic, sql).remove(0) {
            Decision::UnknownRelation { name, otherwise } => {
                assert_eq!(name, "nowhere");
                assert!(matches!(*otherwise, Decision::Refused(r) if r.sqlstate == "42P01"), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn unrestricted_roles_run_everything_and_it_is_told_apart() {
    let mut clinic = Clinic::new();
    clinic.role = role(Scope::All);
    expect(
        &clinic,
        "guard",
        &["SELECT * FROM patients", "DELETE FROM notes", "SELECT fmt(name) FROM patients"],
    );
    expect(
        &clinic,
        "unattributed",
        &[
            "DO 'x'",
            "CALL p()",
            "COPY patients TO '/tmp/x'",
            "DECLARE c CURSOR FOR SELECT * FROM patients",
            "EXPLAIN ANALYZE SELECT * FROM patients",
            "CREATE TABLE t AS SELECT * FROM patients",
            "TRUNCATE patients",
            "SELECT get_ssn(1)",
            "SELECT query_to_xml('SELECT 1', true, false, '')",
            "SELECT * FROM all_patients_v",
            "SELECT ssn INTO t FROM patients",
            "INSERT INTO patients VALUES (1) ON CONFLICT DO NOTHING",
            "MERGE INTO notes USING patients ON true WHEN MATCHED THEN DELETE",
            "SELECT n.row_secret FROM notes n",
            "SELECT * FROM pg_stats",
            "SELECT 1 OPERATOR(clinic.+) 2",
        ],
    );
    expect(
        &clinic,
        "verbatim",
        &[
            "SELECT * FROM ward",
            "SELECT * FROM secret",
            "SET ROLE x",
            "SELECT pg_sleep(1)",
            "CREATE TABLE t (a int)",
            "VACUUM ward",
        ],
    );
}

#[test]
fn usages_and_aliases_are_told() {
    let clinic = Clinic::new();
    let parsed =
        parse("WITH w AS (SELECT * FROM notes n) UPDATE patients p SET name = w.body FROM w, patients")
            .expect("parses");
    let survey = survey(&parsed.statements[0].root, &clinic.catalog, &clinic.namespace);
    let seen: Vec<_> = survey.occurrences.iter().map(|o| (o.alias.as_str(), o.usage)).collect();
    assert_eq!(seen, [("n", Usage::Read), ("p", Usage::UpdateTarget), ("patients", Usage::Read)]);
}

#[test]
fn what_decides_who_sees_whom_is_not_written_even_where_it_is_declared_free_of_patients() {
    let mut clinic = Clinic::limited(Scope::Assigned);
    clinic.bound.reference.insert(11);
    for sql in [
        "DELETE FROM label",
        "TRUNCATE label",
        "TRUNCATE ward, ONLY label",
        "TRUNCATE ward CASCADE",
        "INSERT INTO label VALUES (1, 'staff')",
        "UPDATE label SET label = 'staff'",
        "WITH w AS (DELETE FROM label RETURNING 1) SELECT 1",
        "COPY label FROM STDIN",
    ] {
        let parsed = parse(sql).expect("PostgreSQL reads it");
        let root = &parsed.statements[0].root;
        let refused = super::actions_refusal(root, &clinic.context()).is_some()
            || matches!(decide(&parsed.statements[0], &clinic.context()), Decision::Refused(_));
        assert!(refused, "{sql}");
    }
    for sql in ["TRUNCATE ward", "SELECT * FROM label", "DELETE FROM ward"] {
        let parsed = parse(sql).expect("PostgreSQL reads it");
        assert!(super::actions_refusal(&parsed.statements[0].root, &clinic.context()).is_none(), "{sql}");
    }
}
