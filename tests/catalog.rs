//! The catalog snapshot and the service's questions, against a real server: what the snapshot
//! holds, that its fingerprint moves with DDL and with nothing else, that answers survive a restart.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

mod postgres;

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use pgglass::catalog::{
    ConnectError, QualifiedName, RelationKind, Service, ServiceError, connect, fingerprint, load,
};
use pgglass::config::{Upstream, UpstreamTls};
use pgglass::policy::{Assignment, Identifier, KeyPath, KeyType, Policy, TableRule};
use postgres::{PASSWORD, Postgres};

const SCHEMA: &str = "
CREATE SCHEMA clinic; CREATE SCHEMA glass;
CREATE DOMAIN clinic.mrn AS text CHECK (VALUE ~ '^[0-9]+$');
CREATE TYPE clinic.sex AS ENUM ('f', 'm', 'x');
CREATE TABLE clinic.patient (patient_id int8 PRIMARY KEY, mrn clinic.mrn UNIQUE, gone int, name varchar(40), sex clinic.sex, code varchar(4));
ALTER TABLE clinic.patient DROP COLUMN gone;
CREATE TABLE clinic.vitals (patient_id int8, at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE clinic.vitals_2026 PARTITION OF clinic.vitals FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE clinic.doc (id int, body text, tail text GENERATED ALWAYS AS (right(body, 4)) STORED,
    ref text GENERATED ALWAYS AS (body || id::text) STORED, one int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE clinic.scan (body text, tail text); CREATE TABLE clinic.scan_old (body text, tail text GENERATED ALWAYS AS (left(body, 1)) STORED);
DO $$ BEGIN ALTER TABLE clinic.scan_old INHERIT clinic.scan; EXCEPTION WHEN datatype_mismatch THEN NULL; END $$; -- refused since version 16
CREATE VIEW clinic.v AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW clinic.mv AS SELECT 1 AS one;
CREATE FUNCTION clinic.age(int, text) RETURNS int LANGUAGE sql LEAKPROOF IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION clinic.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT ON clinic.patient FOR EACH ROW EXECUTE FUNCTION clinic.trg();
CREATE FUNCTION clinic.eq(int, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR clinic.=== (LEFTARG = int, RIGHTARG = text, FUNCTION = clinic.eq);
CREATE TABLE glass.assigned (user_name text, patient_id int8, valid_from timestamptz, valid_to timestamptz);
CREATE ROLE ward; CREATE ROLE nurse; CREATE ROLE nina LOGIN PASSWORD 'nina' VALID UNTIL '2030-01-01 00:00:00Z';
CREATE ROLE nopw LOGIN;
CREATE ROLE ever LOGIN PASSWORD 'x' VALID UNTIL 'infinity';
GRANT ward TO nurse; GRANT nurse TO nina;
INSERT INTO clinic.patient VALUES (7, '007', 'Ann', 'f', 'abcd'), (8, '008', 'Bob', 'm', 'abcd');
INSERT INTO glass.assigned VALUES ('nina', 7, NULL, NULL), ('nina', 8, NULL, now() - interval '1 s'),
    ('nina', 9, now() + interval '1 h', NULL), ('other', 10, NULL, NULL);
";

fn upstream(pg: &Postgres, dir: &tempfile::TempDir, password: &str) -> Upstream {
    let file = dir.path().join("password");
    std::fs::write(&file, format!("{password}\n")).expect("write");
    Upstream {
        host: "127.0.0.1".into(),
        port: pg.port,
        tls: UpstreamTls::Disable,
        identity: None,
        login: pgglass::config::UpstreamLogin::PassThrough,
        connect_timeout: Duration::from_secs(2),
        service_user: "postgres".into(),
        service_password_file: file,
        service_database: "postgres".into(),
        auth_query: "SELECT rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = $1 AND rolcanlogin"
            .into(),
        catalog_poll: Duration::from_secs(1),
    }
}

fn policy() -> Policy {
    let patient = QualifiedName::new("clinic", "patient");
    Policy {
        version: "0".into(),
        key_type: KeyType::Int8,
        identifiers: vec![],
        assignment: Assignment {
            relation: QualifiedName::new("glass", "assigned"),
            principal: "user_name".into(),
            patient: "patient_id".into(),
            valid_from: Some("valid_from".into()),
            valid_to: Some("valid_to".into()),
        },
        tables: vec![TableRule::new(
            patient,
            "demographics",
            KeyPath { steps: vec![], key: "patient_id".into() },
        )],
        reference: Default::default(),
        roles: Default::default(),
        membership: Default::default(),
        profiles: Default::default(),
        mode: Default::default(),
        sources: Vec::new(),
        deny: Default::default(),
        labels: Vec::new(),
    }
}

#[tokio::test]
async fn the_snapshot_holds_what_resolution_needs() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(SCHEMA).await.expect("schema");
    let started = Instant::now();
    let catalog = load(&client, 3).await.expect("load");
    println!("load: {:?}", started.elapsed());

    assert_eq!(catalog.epoch, 3);
    assert!(catalog.server_version >= 140_000);
    let by_name = |n: &str| catalog.lookup(&QualifiedName::new("clinic", n)).unwrap_or_else(|| panic!("{n}"));
    let patient = by_name("patient");
    let columns: Vec<(&str, i16, &str, bool)> = patient
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.attnum, c.type_sql.as_str(), c.builtin_type))
        .collect();
    assert_eq!(
        columns,
        [
            ("patient_id", 1, "bigint", true),
            ("mrn", 2, "clinic.mrn", false),
            ("name", 4, "character varying(40)", true),
            ("sex", 5, "clinic.sex", false),
            ("code", 6, "character varying(4)", true),
        ]
    );
    let computed = |relation: &str, column: &str| {
        let column = by_name(relation).column(column).unwrap_or_else(|| panic!("{column}"));
        (column.generated, column.computed_from.join(" "))
    };
    assert_eq!(computed("doc", "body"), (false, String::new()));
    assert_eq!(computed("doc", "tail"), (true, "body".to_owned()));
    assert_eq!(computed("doc", "ref"), (true, "body id".to_owned()));
    assert_eq!(computed("doc", "one"), (true, String::new()));
    assert_eq!(computed("scan_old", "tail"), (true, "body".to_owned()));
    // A child may compute what its parent stores: it is read through the parent.
    let inherits = !by_name("scan_old").parents.is_empty();
    assert_eq!(inherits, catalog.server_version < 160_000);
    assert_eq!(computed("scan", "tail"), (false, if inherits { "body" } else { "" }.to_owned()));
    assert!(patient.has_triggers_or_rules);
    assert!(!patient.rewrites_rows, "an AFTER trigger leaves the row as it is");
    let vitals = by_name("vitals");
    assert_eq!(vitals.kind, RelationKind::PartitionedTable);
    assert!(!vitals.has_triggers_or_rules);
    assert_eq!(by_name("vitals_2026").parents, [vitals.oid]);
    assert_eq!(by_name("v").kind, RelationKind::View);
    assert!(!by_name("v").has_triggers_or_rules, "a view's own rule is none");
    assert_eq!(by_name("mv").kind, RelationKind::MaterializedView);
    assert_eq!(by_name("patient_pkey").kind, RelationKind::Index);
    let class = catalog.lookup(&QualifiedName::new("pg_catalog", "pg_class")).expect("pg_class");
    assert!(class.column("relname").is_some());
    assert!(catalog.lookup(&QualifiedName::new("information_schema", "tables")).is_some());
    assert!(!catalog.relations.values().any(|r| r.name.schema.starts_with("pg_toast")));

    let age = &catalog.functions["age"];
    let ours = age.iter().find(|f| f.schema == "clinic").expect("clinic.age");
    assert_eq!((ours.args.as_slice(), ours.result, ours.leakproof), ([23, 25].as_slice(), 23, true));
    assert_eq!((ours.volatility, ours.kind), ('i', 'f'));
    assert!(age.iter().filter(|f| f.schema == "pg_catalog").count() >= 2, "overloads stand together");
    assert!(catalog.foreign_operators.contains("===") && !catalog.foreign_operators.contains("="));
    let own = &catalog.own_code;
    assert!(own.redefines("===") && !own.redefines("=") && !own.redefines_for_enums("==="));
    assert_eq!(catalog.foreign_types.get("mrn"), Some(&'d'));
    assert_eq!(catalog.foreign_types.get("sex"), Some(&'e'));
    assert_eq!(catalog.foreign_types.get("patient"), None, "row types are left out");
    let nina = &catalog.memberships["nina"];
    assert!(["nina", "nurse", "ward"].iter().all(|r| nina.contains(*r)) && nina.len() == 3, "{nina:?}");
    assert_eq!(catalog.memberships["ward"].len(), 1);
}

/// Which functions `alias.name` can mean, and which `(value).name`.
#[tokio::test]
async fn functions_that_take_a_row_or_one_argument_are_told() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    let sql = "CREATE DOMAIN clinic.of_row AS clinic.patient; CREATE DOMAIN clinic.of_domain AS clinic.of_row;
        CREATE TYPE clinic.pair AS (a int, b int); CREATE TYPE clinic.told AS (a int);
        CREATE FUNCTION clinic.to_text(clinic.told) RETURNS text LANGUAGE sql AS 'SELECT ''x''';
        CREATE FUNCTION clinic.r1(clinic.patient) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.r2(clinic.of_domain) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.r3(clinic.pair, int DEFAULT 1, text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.r4(VARIADIC clinic.pair[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.r5(anyelement) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.r6(record) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
        CREATE FUNCTION clinic.n1(clinic.pair, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.n2(clinic.pair[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.n3(clinic.sex) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.n4(int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.n5(clinic.mrn) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION clinic.n6() RETURNS int LANGUAGE sql AS 'SELECT 1';";
    client.batch_execute(&format!("{SCHEMA} {sql}")).await.expect("DDL");
    let catalog = load(&client, 1).await.expect("a snapshot");
    let told = |name: &str| {
        let all = &catalog.functions[name];
        (all.iter().any(|f| f.unary), all.iter().any(|f| f.takes_row))
    };
    for name in ["r1", "r2", "r3", "r4", "r5", "r6", "row_to_json", "pg_typeof", "to_jsonb"] {
        assert_eq!(told(name), (true, true), "{name}");
    }
    for name in ["n2", "n3", "n4", "n5", "system", "bernoulli", "nextval", "lower", "pg_sleep"] {
        assert_eq!(told(name), (true, false), "{name}");
    }
    for name in ["n1", "n6", "now", "left"] {
        assert_eq!(told(name), (false, false), "{name}");
    }
    // Where a row becomes a text by itself, whatever takes a text takes a row.
    let cast = "CREATE CAST (clinic.told AS text) WITH FUNCTION clinic.to_text AS IMPLICIT";
    client.batch_execute(cast).await.expect("a cast");
    let catalog = load(&client, 2).await.expect("a snapshot");
    assert!(catalog.functions["lower"].iter().any(|f| f.takes_row));
    assert!(!catalog.functions["system"].iter().any(|f| f.takes_row));
}

/// An operator that values of an enum, or of a built-in type, can be operands of without a cast is told from those of
/// other types.
#[tokio::test]
async fn operators_for_enums_and_built_in_types_are_told_from_others() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    let sql = "CREATE EXTENSION citext SCHEMA clinic; CREATE TYPE clinic.pair AS (a int, b int); CREATE TYPE clinic.other AS (a int);
        CREATE DOMAIN clinic.of_sex AS clinic.sex;
        CREATE FUNCTION clinic.to_other(clinic.sex) RETURNS clinic.other LANGUAGE sql AS 'SELECT ROW(1)::clinic.other';
        CREATE CAST (clinic.sex AS clinic.other) WITH FUNCTION clinic.to_other AS IMPLICIT;
        CREATE FUNCTION clinic.t(clinic.pair, clinic.pair) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION clinic.t(clinic.pair, clinic.sex) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION clinic.t(clinic.of_sex, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION clinic.t(anyelement, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE FUNCTION clinic.t(clinic.other, clinic.other) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE OPERATOR clinic.=# (LEFTARG = clinic.pair, RIGHTARG = clinic.pair, FUNCTION = clinic.t);
        CREATE OPERATOR clinic.=## (LEFTARG = clinic.pair, RIGHTARG = clinic.sex, FUNCTION = clinic.t);
        CREATE OPERATOR clinic.=### (LEFTARG = clinic.of_sex, RIGHTARG = text, FUNCTION = clinic.t);
        CREATE OPERATOR clinic.=#### (LEFTARG = anyelement, RIGHTARG = text, FUNCTION = clinic.t);
        CREATE OPERATOR clinic.=##### (LEFTARG = clinic.other, RIGHTARG = clinic.other, FUNCTION = clinic.t);";
    client.batch_execute(&format!("{SCHEMA} {sql}")).await.expect("DDL");
    let own = load(&client, 1).await.expect("a snapshot").own_code;
    let told = |token: &str| (own.redefines(token), own.redefines_for_enums(token));
    assert!(own.operators.contains_key("="), "those of citext");
    for token in ["=", "<>", "<", "=#"] {
        assert_eq!(told(token), (false, false), "{token}");
    }
    for token in ["=##", "=###", "=#####"] {
        assert_eq!(told(token), (false, true), "{token}");
    }
    assert_eq!(told("=####"), (true, true));
}

#[tokio::test]
async fn the_fingerprint_moves_with_ddl_and_with_nothing_else() {
    let pg = Postgres::start();
    let client = pg.connect().await;
    client.batch_execute(SCHEMA).await.expect("schema");
    let mut before = fingerprint(&client).await.expect("fingerprint");
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(fingerprint(&client).await.expect("fingerprint"), before);
    }
    println!("fingerprint: {:?}", started.elapsed() / 20);

    for quiet in [
        "INSERT INTO clinic.patient VALUES (11, '11', 'Cy', 'x', 'c')",
        "CREATE TEMP TABLE scratch (a int, b text)",
        "CREATE TEMP VIEW tv AS SELECT * FROM scratch",
        "DROP TABLE scratch CASCADE",
        "ANALYZE",
        "VACUUM clinic.patient",
        "VACUUM FULL clinic.patient",
        "TRUNCATE clinic.vitals",
        "REINDEX TABLE clinic.patient",
        "GRANT SELECT ON clinic.patient TO nurse",
        "ALTER ROLE nina PASSWORD 'other'",
    ] {
        client.batch_execute(quiet).await.expect(quiet);
        assert_eq!(fingerprint(&client).await.expect("fingerprint"), before, "{quiet}");
    }
    for loud in [
        "CREATE TABLE clinic.note (id int)",
        "CREATE COLLATION clinic.german (provider = icu, locale = 'de')",
        "ALTER COLLATION clinic.german RENAME TO deutsch",
        "DROP COLLATION clinic.deutsch",
        "ALTER TABLE clinic.note ADD COLUMN body text",
        "ALTER TABLE clinic.note RENAME COLUMN body TO text",
        "ALTER TABLE clinic.note ALTER COLUMN text TYPE varchar(10)",
        "ALTER TABLE clinic.note DROP COLUMN text",
        "ALTER TABLE clinic.note RENAME TO remark",
        "ALTER TABLE clinic.remark SET SCHEMA public",
        "ALTER TABLE public.remark INHERIT clinic.mv_parent",
        "DROP TABLE public.remark",
        "ALTER TABLE clinic.vitals DETACH PARTITION clinic.vitals_2026",
        "ALTER TABLE clinic.vitals ATTACH PARTITION clinic.vitals_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "DROP TRIGGER t ON clinic.patient",
        "CREATE RULE r AS ON INSERT TO clinic.vitals_2026 DO INSTEAD NOTHING",
        "CREATE OR REPLACE FUNCTION clinic.age(int, text) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 2'",
        "ALTER FUNCTION clinic.age(int, text) NOT LEAKPROOF",
        "DROP FUNCTION clinic.age(int, text)",
        "DROP OPERATOR clinic.=== (int, text)",
        "ALTER TYPE clinic.sex RENAME TO gender",
        "CREATE DOMAIN clinic.d AS int",
        "ALTER SCHEMA clinic RENAME TO klinik",
        "CREATE ROLE doc",
        "GRANT nurse TO doc",
        "REVOKE nurse FROM doc",
        "ALTER ROLE doc RENAME TO dok",
    ] {
        if loud.contains("mv_parent") {
            client.batch_execute("CREATE TABLE clinic.mv_parent ()").await.expect("parent");
            before = fingerprint(&client).await.expect("fingerprint");
        }
        client.batch_execute(loud).await.expect(loud);
        let after = fingerprint(&client).await.expect("fingerprint");
        assert_ne!(after, before, "{loud}");
        before = after;
    }

    client
        .batch_execute(
            "DO $$ BEGIN FOR i IN 1..400 LOOP EXECUTE format('CREATE TABLE public.t%s (%s)', i, \
             (SELECT string_agg('c' || g || ' int', ', ') FROM generate_series(1, 50) g)); END LOOP; END $$",
        )
        .await
        .expect("20,000 columns");
    let started = Instant::now();
    for _ in 0..10 {
        fingerprint(&client).await.expect("fingerprint");
    }
    println!("fingerprint over 20,000 more columns: {:?}", started.elapsed() / 10);
    let started = Instant::now();
    load(&client, 1).await.expect("load");
    println!("load of 20,000 more columns: {:?}", started.elapsed());
}

#[tokio::test]
async fn questions_are_answered_and_survive_a_restart() {
    let pg = Postgres::start();
    let dir = tempfile::tempdir().expect("tempdir");
    pg.connect().await.batch_execute(SCHEMA).await.expect("schema");
    let service = Service::new(upstream(&pg, &dir, PASSWORD));
    service.validate().await.expect("valid");

    let nina = service.verifier("nina").await.expect("asked").expect("nina has one");
    assert!(nina.verifier.starts_with("SCRAM-SHA-256$4096:"));
    assert_eq!(nina.valid_until, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000)));
    assert!(!format!("{nina:?}").contains("SCRAM"), "no verifier in a log");
    assert_eq!(service.verifier("ever").await.expect("asked").expect("one").valid_until, None);
    for nobody in ["nopw", "ward", "NINA", "nina' OR true --", ""] {
        assert_eq!(service.verifier(nobody).await.expect("asked"), None, "{nobody}");
    }

    let policy = policy();
    for (principal, key, expected) in [
        ("nina", "7", true),
        ("nina", " 007 ", true),
        ("nina", "8", false),
        ("nina", "9", false),
        ("nina", "10", false),
        ("other", "10", true),
        ("nina", "7; DROP TABLE glass.assigned", false),
        ("nobody", "7", false),
    ] {
        assert_eq!(
            service.assigned(&policy, &[], principal, key).await.expect("asked"),
            expected,
            "{principal} {key}"
        );
    }

    let patient = QualifiedName::new("clinic", "patient");
    let by = |column: &str| Identifier { table: patient.clone(), column: column.into() };
    let resolve =
        async |column: &str, value: &str| service.resolve_identifier(&policy, &by(column), value).await;
    assert_eq!(resolve("mrn", "007").await.expect("asked").as_deref(), Some("7"));
    assert_eq!(resolve("mrn", "9").await.expect("asked"), None);
    assert_eq!(resolve("mrn", "no number").await.expect("a refused cast is nobody"), None);
    assert_eq!(resolve("code", "abcdef").await.expect("not cut to the column's length"), None);
    assert!(matches!(resolve("code", "abcd").await, Err(ServiceError::Ambiguous(_))));
    assert!(matches!(resolve("nope", "x").await, Err(ServiceError::Identifier(_))));

    pg.restart();
    assert!(service.assigned(&policy, &[], "nina", "7").await.expect("reconnected"));
    assert!(service.verifier("nina").await.expect("asked").is_some());

    for (query, expected) in [
        ("SELECT 1 WHERE $1 <> ''", "verifier of type"),
        ("SELECT rolpassword, rolname FROM pg_authid WHERE rolname = $1", "second column of type"),
        ("SELECT rolpassword FROM pg_authid WHERE $1 <> ''", "more than one row"),
        ("SELECT nothing FROM nowhere WHERE x = $1", "fails: relation"),
    ] {
        let mut upstream = upstream(&pg, &dir, PASSWORD);
        upstream.auth_query = query.into();
        let service = Service::new(upstream);
        if !expected.contains("more than one") {
            let error = service.validate().await.expect_err("refused when the proxy starts");
            assert!(error.to_string().contains(expected), "{query}: {error}");
        }
        let error = match service.verifier("nina").await {
            Err(error) => error.to_string(),
            Ok(answer) => panic!("{query}: {answer:?}"),
        };
        assert!(error.contains(expected), "{query}: {error}");
    }
}

#[tokio::test]
async fn connection_errors_say_what_is_wrong() {
    let pg = Postgres::start();
    let dir = tempfile::tempdir().expect("tempdir");
    let good = upstream(&pg, &dir, PASSWORD);
    assert!(connect(&good).await.is_ok());

    let mut no_file = good.clone();
    no_file.service_password_file = PathBuf::from("/no/such/file");
    assert!(matches!(connect(&no_file).await, Err(ConnectError::PasswordFile { .. })));
    let mut no_database = good.clone();
    no_database.service_database = "nope".into();
    assert!(matches!(connect(&no_database).await, Err(ConnectError::Server { .. })));
    let mut no_server = good.clone();
    no_server.port = 1;
    assert!(matches!(connect(&no_server).await, Err(ConnectError::Unreachable { .. })));
    let mut no_tls = good.clone();
    no_tls.tls = UpstreamTls::Require;
    assert!(matches!(connect(&no_tls).await, Err(ConnectError::Tls { .. })));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let mut other = good.clone();
    other.port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = connect(&other).await.expect_err("no PostgreSQL");
    assert!(matches!(error, ConnectError::NotPostgres { .. }), "{error}");

    let wrong = upstream(&pg, &dir, "wrong");
    let error = connect(&wrong).await.expect_err("refused");
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("wrong"), "no password in an error");
}

#[tokio::test]
async fn tls_is_used_and_verified_as_configured() {
    let pg = Postgres::start();
    let dir = tempfile::tempdir().expect("tempdir");
    let signed = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("key");
        let certificate =
            rcgen::CertificateParams::new(vec![name.to_owned()]).expect("name").self_signed(&key);
        (certificate.expect("certificate").pem(), key.serialize_pem())
    };
    let (certificate, key) = signed("localhost");
    pg.enable_tls(&certificate, &key).await;
    let ca = dir.path().join("ca.crt");
    let other = dir.path().join("other.crt");
    std::fs::write(&ca, &certificate).expect("write");
    std::fs::write(&other, signed("localhost").0).expect("write");
    let empty = dir.path().join("empty.crt");
    std::fs::write(&empty, "no certificate").expect("write");

    let with =
        |host: &str, tls: UpstreamTls| Upstream { host: host.into(), tls, ..upstream(&pg, &dir, PASSWORD) };
    for encrypted in [
        with("127.0.0.1", UpstreamTls::Require),
        with("localhost", UpstreamTls::VerifyFull { ca: ca.clone() }),
    ] {
        let client = connect(&encrypted).await.unwrap_or_else(|e| panic!("{:?}: {e}", encrypted.tls));
        let query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert!(client.query_one(query, &[]).await.expect("asked").get::<_, bool>(0), "{:?}", encrypted.tls);
    }
    for refused in [
        with("localhost", UpstreamTls::VerifyFull { ca: other }),
        with("127.0.0.1", UpstreamTls::VerifyFull { ca: ca.clone() }),
    ] {
        let error = connect(&refused).await.expect_err("another authority, another name");
        assert!(
            matches!(error, ConnectError::Tls { .. }) && error.to_string().contains("certificate"),
            "{error}"
        );
    }
    let error =
        connect(&with("localhost", UpstreamTls::VerifyFull { ca: empty })).await.expect_err("no authority");
    assert!(matches!(error, ConnectError::Authorities { .. }), "{error}");
}
