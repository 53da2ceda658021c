//! `pgglass check` as a user runs it: exit status, what it prints, against a database that is as
//! configured, one that is not, and things that are no database.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

mod postgres;

use std::path::Path;
use std::process::{Command, Output};

use postgres::{PASSWORD, Postgres};

const EXAMPLE: &str = include_str!("../config/pgglass.example.toml");

/// A database as the example configuration wants it.
const CLINIC: &str = "
CREATE ROLE nurse; CREATE ROLE dba; CREATE ROLE bill_amy LOGIN PASSWORD 'x';
CREATE ROLE pgglass LOGIN PASSWORD 'service';
CREATE SCHEMA clinic; CREATE SCHEMA glass;
GRANT USAGE ON SCHEMA clinic, glass TO nurse, dba, bill_amy, pgglass;
CREATE TABLE clinic.patient (patient_id int8 PRIMARY KEY, mrn text UNIQUE NOT NULL, ssn text, phone varchar(20),
    birth_date date, note text);
CREATE TABLE clinic.visit (visit_id int8 PRIMARY KEY, patient_id int8 REFERENCES clinic.patient);
CREATE TABLE clinic.lab_order (order_id int8 PRIMARY KEY, patient_id int8 REFERENCES clinic.patient);
CREATE TABLE clinic.lab_result (result_id int8 PRIMARY KEY, order_id int8 REFERENCES clinic.lab_order, value numeric);
CREATE TABLE clinic.ward (ward_id int PRIMARY KEY); CREATE TABLE clinic.drug (drug_id int PRIMARY KEY);
CREATE TABLE glass.assigned (user_name text, patient_id int8, valid_to timestamptz, UNIQUE (user_name, patient_id));
INSERT INTO glass.assigned VALUES ('nina', 1, NULL);
GRANT SELECT ON ALL TABLES IN SCHEMA clinic, glass TO nurse, dba, bill_amy, pgglass;
CREATE FUNCTION glass.verifier(login name, OUT verifier text, OUT valid_until timestamptz)
  RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$ SELECT rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = login AND rolcanlogin $$;
REVOKE ALL ON FUNCTION glass.verifier(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION glass.verifier(name) TO pgglass;
";

/// A folder with a configuration and the files it names.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new(port: u16, edit: impl Fn(String) -> String) -> Self {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["tls", "secrets"] {
            std::fs::create_dir(dir.path().join(name)).expect("mkdir");
        }
        for (name, content) in [
            ("tls/server.crt", "certificate"),
            ("tls/server.key", "key"),
            ("secrets/ledger.key", "key"),
            ("secrets/service-password", "service\n"),
        ] {
            secret(&dir.path().join(name), content);
        }
        let text = EXAMPLE
            .replace("port = 5432", &format!("port = {port}"))
            .replace("service_database = \"clinic\"", "service_database = \"postgres\"")
            .replace(
                "SELECT rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = $1 AND rolcanlogin",
                "SELECT verifier, valid_until FROM glass.verifier($1)",
            );
        std::fs::write(dir.path().join("pgglass.toml"), edit(text)).expect("write");
        Self { dir }
    }

    fn check(&self, arguments: &[&str]) -> (i32, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_pgglass"))
            .arg("check")
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .expect("pgglass runs");
        (output.status.code().expect("not killed"), String::from_utf8(output.stdout).expect("UTF-8"))
    }
}

fn secret(path: &Path, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, content).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
}

fn same(text: String) -> String {
    text
}

#[tokio::test]
async fn a_database_as_configured_has_no_findings() {
    let pg = Postgres::start();
    pg.connect().await.batch_execute(CLINIC).await.expect("schema");
    let folder = Folder::new(pg.port, same);
    let (status, out) = folder.check(&["--strict"]);
    assert_eq!(status, 0, "{out}");
    assert!(out.contains("0 errors, 0 warnings"), "{out}");
    for expected in [
        "clinic.lab_result (labs)",
        "patient: clinic.lab_result.order_id -> clinic.lab_order.order_id, then clinic.lab_order.patient_id",
        "nurse    assigned patients, others blocked",
        "billing  nothing (class not allowed)",
        "billing  all patients; masked: birth_date (year), note (null), phone (partial, last 2), ssn (redact \"***\")",
        "dba      all patients",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }

    let (status, out) = folder.check(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(status, 0);
    assert_eq!(json["errors"], 0);
    assert_eq!(json["tables"][3]["table"], "clinic.visit");
    assert_eq!(json["tables"][1]["roles"]["nurse"]["rows"], "block");
}

/// What PostgreSQL keeps over rows and columns that no guard sees.
#[tokio::test]
async fn constraints_that_tell_or_change_what_is_hidden_are_warned_of() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(CLINIC).await.expect("schema");
    let folder = Folder::new(pg.port, same);
    let follow = "ALTER TABLE clinic.visit ADD follows int8 REFERENCES clinic.visit";
    // (what is changed, what is printed, what undoes it)
    for (change, expected, undo) in [
        // A row of the same patient.
        (
            "ALTER TABLE clinic.lab_result DROP CONSTRAINT lab_result_order_id_fkey, \
             ADD FOREIGN KEY (order_id) REFERENCES clinic.lab_order ON DELETE CASCADE; \
             ALTER TABLE clinic.visit DROP CONSTRAINT visit_patient_id_fkey, \
             ADD FOREIGN KEY (patient_id) REFERENCES clinic.patient ON DELETE SET NULL ON UPDATE CASCADE"
                .to_owned(),
            "0 errors, 0 warnings",
            "SELECT 1",
        ),
        (follow.to_owned(), "0 errors, 0 warnings", "ALTER TABLE clinic.visit DROP follows"),
        (
            format!("{follow} ON DELETE CASCADE"),
            "warning[foreign-key-action]: clinic.visit: ON DELETE CASCADE of its foreign key (follows) to clinic.visit",
            "ALTER TABLE clinic.visit DROP follows",
        ),
        (
            format!("{follow} ON DELETE SET NULL ON UPDATE CASCADE"),
            "ON DELETE SET NULL and ON UPDATE CASCADE of its foreign key",
            "ALTER TABLE clinic.visit DROP follows",
        ),
        (
            "ALTER TABLE clinic.visit ADD follows int8, ADD UNIQUE (visit_id, patient_id), \
             ADD FOREIGN KEY (follows, patient_id) REFERENCES clinic.visit (visit_id, patient_id) ON DELETE CASCADE"
                .to_owned(),
            "0 errors, 0 warnings",
            "ALTER TABLE clinic.visit DROP follows",
        ),
        // Who only reads confirms nothing.
        (
            "ALTER TABLE clinic.patient ADD CONSTRAINT one UNIQUE (ssn)".to_owned(),
            "0 errors, 0 warnings",
            "GRANT UPDATE (phone) ON clinic.patient TO bill_amy",
        ),
        (
            "SELECT 1".to_owned(),
            "warning[mask-tied]: clinic.patient.ssn: masked for billing, who may write what the unique index one compares",
            "ALTER TABLE clinic.patient DROP CONSTRAINT one",
        ),
        (
            "ALTER TABLE clinic.patient ADD CONSTRAINT form CHECK (ssn ~ '^[0-9-]+$')".to_owned(),
            "0 errors, 0 warnings",
            "ALTER TABLE clinic.patient DROP CONSTRAINT form",
        ),
        (
            "ALTER TABLE clinic.patient ADD CONSTRAINT other CHECK (ssn <> mrn)".to_owned(),
            "warning[mask-tied]: clinic.patient.ssn: masked for billing, who may write what the check other compares",
            "ALTER TABLE clinic.patient DROP CONSTRAINT other",
        ),
        (
            "CREATE UNIQUE INDEX folded ON clinic.patient (lower(ssn)) WHERE mrn <> ''".to_owned(),
            "the unique index folded",
            "DROP INDEX clinic.folded; REVOKE UPDATE (phone) ON clinic.patient FROM bill_amy; GRANT INSERT ON clinic.visit TO bill_amy",
        ),
        (
            "ALTER TABLE clinic.patient ADD CONSTRAINT one UNIQUE (ssn); \
             ALTER TABLE clinic.visit ADD ssn text REFERENCES clinic.patient (ssn)"
                .to_owned(),
            "warning[mask-tied]: clinic.patient.ssn: masked for billing, who may write what the foreign key of clinic.visit",
            "ALTER TABLE clinic.visit DROP ssn",
        ),
    ] {
        client.batch_execute(&change).await.expect("the change");
        let (_, out) = folder.check(&[]);
        assert!(out.contains(expected), "{change}: {out}");
        client.batch_execute(undo).await.expect("undone");
    }
}

#[tokio::test]
async fn every_kind_of_mistake_is_found() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(CLINIC).await.expect("schema");
    let folder = Folder::new(pg.port, same);
    // (what is changed, status with --strict, what is printed, what undoes it)
    for (change, status, expected, undo) in [
        (
            "ALTER TABLE clinic.visit ALTER patient_id TYPE int4",
            1,
            "error[key-type]: clinic.visit: patient key column patient_id is of type integer; patient.key_type is int8",
            "ALTER TABLE clinic.visit ALTER patient_id TYPE int8",
        ),
        (
            "ALTER TABLE glass.assigned ALTER patient_id TYPE text",
            1,
            "error[key-type]: glass.assigned: patient key column patient_id is of type text",
            "ALTER TABLE glass.assigned ALTER patient_id TYPE int8 USING patient_id::int8",
        ),
        (
            "ALTER TABLE glass.assigned ALTER valid_to TYPE timestamp",
            1,
            "error[validity-type]: glass.assigned: column valid_to is of type timestamp without time zone",
            "ALTER TABLE glass.assigned ALTER valid_to TYPE timestamptz",
        ),
        (
            "ALTER TABLE glass.assigned DROP CONSTRAINT assigned_user_name_patient_id_key",
            1,
            "help: CREATE UNIQUE INDEX ON \"glass\".\"assigned\" (\"user_name\", \"patient_id\");",
            "ALTER TABLE glass.assigned ADD UNIQUE (user_name, patient_id)",
        ),
        (
            "CREATE FUNCTION clinic.last() RETURNS int8 LANGUAGE sql AS 'SELECT max(patient_id) FROM clinic.patient'; ALTER TABLE clinic.ward ADD last int8 DEFAULT clinic.last()",
            2,
            "warning[unnamed-function]: clinic.last: runs behind a column default of table clinic.ward: statements that reach it are refused to ",
            "ALTER TABLE clinic.ward DROP last; DROP FUNCTION clinic.last()",
        ),
        (
            "DELETE FROM glass.assigned",
            2,
            "warning[assignment-empty]: glass.assigned",
            "INSERT INTO glass.assigned VALUES ('nina', 1, NULL)",
        ),
        (
            "REVOKE SELECT ON glass.assigned FROM pgglass",
            1,
            "error[assignment-unreadable]: glass.assigned",
            "GRANT SELECT ON glass.assigned TO pgglass",
        ),
        (
            "REVOKE SELECT ON glass.assigned FROM nurse",
            2,
            "warning[guard-rights]: glass.assigned: database role nurse cannot read it",
            "GRANT SELECT ON glass.assigned TO nurse",
        ),
        (
            "ALTER TABLE clinic.lab_order DROP CONSTRAINT lab_order_pkey CASCADE",
            1,
            "error[not-unique]: clinic.lab_result: clinic.lab_order.order_id is not unique",
            "ALTER TABLE clinic.lab_order ADD PRIMARY KEY (order_id)",
        ),
        (
            "ALTER TABLE clinic.lab_result ALTER order_id TYPE text",
            1,
            "error[step-type]: clinic.lab_result: clinic.lab_result.order_id (text) cannot be compared",
            "ALTER TABLE clinic.lab_result ALTER order_id TYPE int8 USING order_id::int8",
        ),
        (
            "ALTER TABLE clinic.patient ALTER birth_date TYPE text",
            1,
            "error[mask-type]: clinic.patient.birth_date: mask \"year\" needs a date or timestamp",
            "ALTER TABLE clinic.patient ALTER birth_date TYPE date USING birth_date::date",
        ),
        (
            "ALTER TABLE clinic.patient ALTER ssn TYPE numeric(5,2) USING 1",
            1,
            "error[mask-type]: clinic.patient.ssn: mask \"redact\" needs a text, JSON, uuid, network address, bytea or array type, but the column is of type numeric(5,2)",
            "ALTER TABLE clinic.patient ALTER ssn TYPE text",
        ),
        (
            "CREATE DOMAIN clinic.digits AS int CHECK (VALUE > 0); ALTER TABLE clinic.patient ALTER ssn TYPE clinic.digits USING 1",
            1,
            "error[mask-type]: clinic.patient.ssn: mask \"redact\" needs a text, JSON",
            "ALTER TABLE clinic.patient ALTER ssn TYPE text; DROP DOMAIN clinic.digits",
        ),
        (
            "ALTER TABLE clinic.patient RENAME ssn TO social",
            1,
            "error[does-not-exist]: clinic.patient.ssn: role billing masks a column that does not exist",
            "ALTER TABLE clinic.patient RENAME social TO ssn",
        ),
        (
            "ALTER TABLE clinic.visit RENAME TO visits",
            1,
            "protected table clinic.visit does not exist in the database",
            "ALTER TABLE clinic.visits RENAME TO visit",
        ),
        (
            "ALTER TABLE clinic.patient DROP CONSTRAINT patient_mrn_key",
            2,
            "warning[identifier-not-unique]: clinic.patient.mrn",
            "ALTER TABLE clinic.patient ADD UNIQUE (mrn)",
        ),
        (
            "CREATE TABLE clinic.allergy (id int PRIMARY KEY, who int8 REFERENCES clinic.patient)",
            2,
            "[[table]]\n        name = \"clinic.allergy\"\n        class = \"...\"\n        key = \"who\"",
            "DROP TABLE clinic.allergy",
        ),
        (
            "CREATE TABLE clinic.flag (id int8 PRIMARY KEY, result int8 REFERENCES clinic.lab_result)",
            2,
            "via = [{ column = \"result\", table = \"clinic.lab_result\", references = \"result_id\" }, \
             { column = \"order_id\", table = \"clinic.lab_order\", references = \"order_id\" }]",
            "DROP TABLE clinic.flag",
        ),
        (
            "ALTER TABLE clinic.ward ADD patient_id int8 REFERENCES clinic.patient",
            2,
            "warning[reference-of-patients]: clinic.ward",
            "ALTER TABLE clinic.ward DROP patient_id",
        ),
        (
            "CREATE COLLATION clinic.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             ALTER TABLE glass.assigned ALTER user_name TYPE text COLLATE clinic.ci",
            1,
            "error[loose-collation]: glass.assigned: column user_name tells who is assigned to whom, but its collation is \
             not deterministic: different texts are equal there\n  help: give the column a deterministic collation",
            "ALTER TABLE glass.assigned ALTER user_name TYPE text; DROP COLLATION clinic.ci",
        ),
        (
            "CREATE TABLE clinic.both () INHERITS (clinic.patient, clinic.visit)",
            1,
            "error[two-entries]: clinic.both inherits from clinic.patient and clinic.visit, whose entries differ",
            "DROP TABLE clinic.both",
        ),
        (
            "CREATE TABLE clinic.list (patient_id int8); ALTER TABLE clinic.visit ADD ward_id int NOT NULL DEFAULT 1; \
             ALTER TABLE clinic.visit INHERIT clinic.ward",
            2,
            "warning[reference-part]: clinic.ward: declared free of patients, but rows of clinic.visit are read through it",
            "ALTER TABLE clinic.visit NO INHERIT clinic.ward; ALTER TABLE clinic.visit DROP ward_id; DROP TABLE clinic.list",
        ),
        (
            "CREATE FUNCTION clinic.copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER copies AFTER INSERT ON clinic.visit FOR EACH ROW EXECUTE FUNCTION clinic.copy()",
            2,
            "warning[triggers]: clinic.visit: triggers or rules: copies",
            "DROP FUNCTION clinic.copy() CASCADE",
        ),
        (
            "ALTER ROLE nurse RENAME TO nurses",
            2,
            "warning[no-such-role]: nurse: there is no such group",
            "ALTER ROLE nurses RENAME TO nurse",
        ),
        (
            "CREATE TABLE clinic.scratch (a int); CREATE VIEW clinic.all_patients AS SELECT * FROM clinic.patient",
            0,
            "note[not-mapped]: clinic: closed to restricted roles (GLS-220), no entry: scratch",
            "DROP TABLE clinic.scratch",
        ),
        (
            "SELECT 1",
            0,
            "note[not-mapped]: clinic: no entry; restricted roles read views by their definition where it can be guarded, the rest is closed: all_patients",
            "DROP VIEW clinic.all_patients",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION glass.verifier(name) FROM pgglass",
            1,
            "GRANT EXECUTE ON FUNCTION glass.verifier(name) TO \"pgglass\";",
            "GRANT EXECUTE ON FUNCTION glass.verifier(name) TO pgglass",
        ),
        (
            "ALTER ROLE pgglass SET password_encryption = 'md5'",
            1,
            "error[password-encryption]: server: password_encryption is md5",
            "ALTER ROLE pgglass RESET password_encryption",
        ),
        ("SELECT 1", 0, "0 errors, 0 warnings", "SELECT 1"),
    ] {
        client.batch_execute(change).await.expect(change);
        let (got, out) = folder.check(&["--strict"]);
        assert_eq!(got, status, "{change}: {out}");
        assert!(out.contains(expected), "{change}: {expected}: {out}");
        client.batch_execute(undo).await.expect(undo);
    }
}

/// What the service account reads beside statements: every source of assignments, and labels that close patients.
#[tokio::test]
async fn what_the_service_account_cannot_read_is_an_error() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(CLINIC).await.expect("schema");
    let more = "CREATE TABLE glass.shift (who text, team int); CREATE TABLE glass.team (team int, patient_id int8); \
                CREATE VIEW glass.on_duty AS SELECT who, team FROM glass.shift; \
                CREATE TABLE glass.extra (who text, patient_id int8, UNIQUE (who, patient_id)); \
                CREATE TABLE glass.label (patient_id int8, label text); \
                GRANT SELECT ON ALL TABLES IN SCHEMA glass TO pgglass, nurse, dba, bill_amy";
    client.batch_execute(more).await.expect("sources");
    let folder = Folder::new(pg.port, |text| {
        let text = text.replacen("[role.nurse]", "[role.nurse]\nlabels = [\"VIP\"]", 1);
        text + "\n[[assignment.source]]\nrelation = \"glass.extra\"\nprincipal = \"who\"\npatient = \"patient_id\"\n\
                [[assignment.source]]\nquery = \"SELECT s.who, t.patient_id FROM glass.on_duty AS s \
                JOIN glass.team AS t ON t.team = s.team\"\n\
                [[label]]\nrelation = \"glass.label\"\npatient = \"patient_id\"\ncolumn = \"label\"\n\
                values = { v = \"VIP\", e = \"EMP\" }\nnone = [\"none\"]\n"
    });
    let (_, out) = folder.check(&[]);
    assert!(out.contains(" 0 errors") || out.starts_with("0 errors") || !out.contains("error["), "{out}");
    for (relation, expected) in [
        ("glass.extra", "error[assignment-unreadable]: glass.extra: the service account cannot read it"),
        ("glass.team", "error[assignment-unreadable]: glass.on_duty, glass.team: the service account cannot"),
        (
            "glass.on_duty",
            "error[assignment-unreadable]: glass.on_duty, glass.team: the service account cannot",
        ),
        ("glass.label", "error[label-unreadable]: glass.label: the service account cannot read it"),
        (
            "glass.assigned",
            "error[assignment-unreadable]: glass.assigned: the service account cannot read the",
        ),
    ] {
        client.batch_execute(&format!("REVOKE SELECT ON {relation} FROM pgglass")).await.expect("revoked");
        let (status, out) = folder.check(&[]);
        assert_eq!(status, 1, "{relation}: {out}");
        assert!(out.contains(expected), "{relation}: {out}");
        assert_eq!(out.matches("-unreadable]").count(), 1, "{relation}: {out}");
        client.batch_execute(&format!("GRANT SELECT ON {relation} TO pgglass")).await.expect("granted");
    }
    // A right to other columns than those that are read is none; what a view reads is its owner's affair.
    let columns = "REVOKE SELECT ON glass.extra, glass.shift FROM pgglass; GRANT SELECT (who) ON glass.extra TO pgglass";
    client.batch_execute(columns).await.expect("columns");
    let (status, out) = folder.check(&[]);
    assert!(status == 1 && out.contains("error[assignment-unreadable]: glass.extra"), "{out}");
    assert!(!out.contains("glass.shift"), "{out}");
}

/// A view that a client could move by SET TimeZone or DateStyle is no source of assignments.
#[tokio::test]
async fn a_view_that_settings_move_is_no_source() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(CLINIC).await.expect("schema");
    let more = "CREATE TYPE glass.part AS ENUM ('day', 'night'); \
                CREATE TABLE glass.duty (who text, patient_id int8, day date, until timestamp, ends timestamptz, note text, n int, \
                part glass.part, grace interval, per tstzrange, days date[], list int[], names varchar(9)[], about regclass); \
                CREATE TYPE glass.pair AS (at timestamptz, n int); CREATE DOMAIN glass.told AS text CHECK (VALUE <> current_setting('application_name')); \
                CREATE FUNCTION glass.on_day(timestamptz) RETURNS bool STABLE LANGUAGE sql AS $$SELECT $1::date = '2026-01-02'$$; \
                CREATE FUNCTION glass.even(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 2 = 0'; \
                CREATE VIEW glass.below AS SELECT who, patient_id FROM glass.duty; \
                CREATE VIEW glass.on_duty AS SELECT who, patient_id FROM glass.below; \
                GRANT SELECT ON ALL TABLES IN SCHEMA glass TO pgglass, nurse, dba, bill_amy";
    client.batch_execute(more).await.expect("sources");
    let folder = Folder::new(pg.port, |text| {
        text + "\n[[assignment.source]]\nrelation = \"glass.on_duty\"\nprincipal = \"who\"\npatient = \"patient_id\"\n"
    });
    for (condition, by) in [
        ("true", None),
        ("ends > now()", None),
        ("ends > current_timestamp", None),
        ("ends > now() - interval '12 hours'", None),
        ("day = (now() AT TIME ZONE 'Europe/Berlin')::date", None),
        ("until > now() AT TIME ZONE 'UTC'", None),
        ("day = date_trunc('week', now() AT TIME ZONE 'UTC')::date", None),
        ("ends > '2026-01-01 07:00+01' AND part = 'night' AND n::text = '1' AND note::int = n", None),
        ("EXISTS (SELECT FROM glass.duty e WHERE e.day = duty.day AND lower(e.note) LIKE 'x%')", None),
        (
            "(ends, n) >= (ends, 1) AND glass.even(n) AND list[1] = 1 AND n = ANY (list) AND who = ANY (names::text[])",
            None,
        ),
        (
            "n IN (SELECT n FROM glass.duty UNION SELECT 1) AND CASE WHEN n > 1 THEN note END IS NOT NULL",
            None,
        ),
        (
            "patient_id IN (SELECT max(patient_id) FROM glass.duty GROUP BY who HAVING count(*) > 1 ORDER BY 1 LIMIT 1)",
            None,
        ),
        (
            "EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = who) AND pg_has_role(who, 'MEMBER')",
            None,
        ),
        ("date_trunc('day', ends, 'Europe/Berlin') < now()", None),
        ("n IN (SELECT row_number() OVER (ORDER BY who) FROM generate_series(1, 3) g)", None),
        ("(ends, n) >= (day, 1)", Some("timestamptz_ge_date")),
        (
            "EXISTS (SELECT FROM (SELECT day AS at FROM glass.duty UNION ALL SELECT ends FROM glass.duty) x WHERE at > now())",
            Some("a set operation over timestamptz"),
        ),
        ("per::text LIKE '[%'", Some("a cast between tstzrange and text")),
        ("days::text[] <> '{x}'", Some("a cast between date and text")),
        ("ROW(ends, 1)::glass.pair::text = note", Some("a cast by way of text")),
        ("note::tstzrange @> ends", Some("a cast between tstzrange and text")),
        ("glass.on_day(ends)", Some("on_day")),
        ("note::glass.told = who", Some("COERCETODOMAIN")),
        ("about::text = 'duty'", Some("a cast between regclass and text")),
        ("quote_ident(note) = who", Some("quote_ident")),
        ("xmlelement(name a, note)::text = who", Some("XML")),
        ("EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = who)", Some("pg_catalog.pg_class")),
        ("EXISTS (SELECT FROM pg_catalog.pg_prepared_statements)", Some("pg_")),
        ("current_schema = note", Some("CURRENT_SCHEMA")),
        ("EXISTS (SELECT FROM glass.duty TABLESAMPLE SYSTEM (50))", Some("TABLESAMPLECLAUSE")),
        ("ends > now() - make_interval(hours => n)", Some("timestamptz_mi_interval")),
        ("until > now()", Some("timestamp_gt_timestamptz")),
        ("day = current_date", Some("CURRENT_DATE")),
        ("until > localtimestamp", Some("LOCALTIMESTAMP")),
        ("day <= now()", Some("date_le_timestamptz")),
        ("day = now()::date", Some("date")),
        ("ends > date_trunc('day', now())", Some("date_trunc")),
        ("ends > now() - interval '1 day'", Some("timestamptz_mi_interval")),
        ("ends > now() - grace", Some("timestamptz_mi_interval")),
        ("ends > now() - n * interval '1 hour'", Some("timestamptz_mi_interval")),
        ("day::text = note", Some("a cast between date and text")),
        ("note::date = day", Some("a cast between date and text")),
        ("lower(note)::timestamptz > now()", Some("a cast between timestamptz and text")),
        ("to_char(ends, 'D') = '1'", Some("to_char")),
        ("note = current_setting('my.ward')", Some("current_setting")),
        ("EXISTS (SELECT FROM glass.duty e WHERE e.until > now())", Some("timestamp_gt_timestamptz")),
    ] {
        let view = format!(
            "CREATE OR REPLACE VIEW glass.below AS SELECT who, patient_id FROM glass.duty WHERE {condition}"
        );
        client.batch_execute(&view).await.expect("view");
        let (_, out) = folder.check(&[]);
        let told = out.lines().find(|line| line.contains("[assignment-settings]"));
        match by {
            None => assert_eq!(told, None, "{condition}"),
            Some(by) => {
                let told = told.unwrap_or_else(|| panic!("{condition}: {out}"));
                let rests = "view glass.below says who is assigned to whom, or which labels patients have, and rests on ";
                let (_, what) = told.split_once(rests).unwrap_or_else(|| panic!("{condition}: {told}"));
                assert!(told.starts_with("error") && what.contains(by), "{condition}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn partitions_are_listed_with_their_table() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(CLINIC).await.expect("schema");
    client
        .batch_execute(
            "DROP TABLE clinic.visit; CREATE TABLE clinic.visit (patient_id int8, at date) PARTITION BY RANGE (at);
             CREATE TABLE clinic.visit_2026 PARTITION OF clinic.visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        )
        .await
        .expect("partitions");
    let (_, out) = Folder::new(pg.port, same).check(&[]);
    assert!(out.contains("and its partitions: clinic.visit_2026"), "{out}");
    assert!(!out.contains("no entry"), "{out}");
}

#[tokio::test]
async fn what_is_no_usable_database_is_said_plainly() {
    let pg = Postgres::start();
    pg.connect().await.batch_execute(CLINIC).await.expect("schema");
    for (edit, expected) in [
        (("service_user = \"pgglass\"", "service_user = \"nobody\""), "error[refused]: upstream: 127.0.0.1:"),
        (
            ("service_database = \"postgres\"", "service_database = \"none\""),
            "database \"none\" does not exist",
        ),
        (("tls = \"disable\"", "tls = \"require\""), "error[tls]: upstream: no TLS connection to 127.0.0.1:"),
        (("\"secrets/service-password\"", "\"secrets/nothing\""), "upstream.service_password_file"),
    ] {
        let (status, out) = Folder::new(pg.port, |t| t.replace(edit.0, edit.1)).check(&[]);
        assert_eq!(status, 1, "{out}");
        assert!(out.contains(expected), "{expected}: {out}");
        assert!(!out.contains(PASSWORD), "{out}");
    }
    let (status, out) = Folder::new(1, same).check(&[]);
    assert!(
        status == 1 && out.contains("error[unreachable]: upstream: 127.0.0.1:1 cannot be reached"),
        "{out}"
    );
}

#[test]
fn offline_looks_at_the_file_alone() {
    let folder = Folder::new(1, same);
    let (status, out) = folder.check(&["--offline", "--strict"]);
    assert_eq!(status, 0, "{out}");
    let folder = Folder::new(1, |t| t.replace("tls = \"disable\"", "tls = \"require\""));
    assert_eq!(folder.check(&["--offline"]).0, 0, "a warning");
    assert_eq!(folder.check(&["--offline", "--strict"]).0, 2, "a warning under --strict");
    let folder = Folder::new(1, |t| t.replace("[ledger]", "[legder]"));
    let (status, out) = folder.check(&["--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(status, 1);
    assert!(json["diagnostics"][0]["place"]["line"].as_u64() > Some(0), "{out}");
    assert!(out.contains("did you mean `ledger`?"), "{out}");
}

#[test]
fn secrets_others_can_read_are_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new(1, same);
    let key = folder.dir.path().join("tls/server.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    std::fs::remove_file(folder.dir.path().join("secrets/ledger.key")).expect("rm");
    let (_, out) = folder.check(&[]);
    assert!(out.contains("warning[file]: listen.private_key: ") && out.contains("(mode 0640)"), "{out}");
    assert!(out.contains("error[file]: ledger.signing_key: ") && out.contains("pgglass keygen"), "{out}");
}
