//! Place and time of a role, several assignment sources, and denied tables, through the built binary.

use crate::common::{Postgres, Proxy};
use crate::support::{refused, watched};

/// The demonstration's configuration with `[role.ROLE.when]`.
fn terms(config: &str, role: &str, when: &str) -> String {
    format!("{config}\n[role.{role}.when]\n{when}\n")
}

const COUNT: &str = "SELECT count(*) FROM clinic.patient";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_another_one_outside_its_network_and_certificate() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |c| {
        let c = terms(&c, "nurse", "networks = [\"10.0.0.0/8\"]");
        let c = terms(&c, "dba", "networks = [\"10.0.0.0/8\", \"fd00::/8\"]\notherwise = \"auditor\"");
        let c = terms(&c, "billing", "certificate = \"required\"");
        terms(&c, "physician", "networks = [\"127.0.0.0/8\", \"::1\"]")
    });
    let error = refused(&proxy, "nurse_amy").await;
    assert_eq!(error.code().code(), "28000");
    assert!(error.message().starts_with("GLS-209 role nurse may not be used from this network"), "{error:?}");
    assert!(refused(&proxy, "bill_eva").await.message().contains("without a client certificate"));
    let physician = watched(&proxy, "dr_chen").await;
    assert!(physician.count(COUNT).await > 0);
    // The auditor's role sees no patient.
    let dba = watched(&proxy, "dba_gus").await;
    assert!(dba.refusal(COUNT).await.message().starts_with("GLS-220 role auditor"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_are_looked_at_before_every_statement() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |c| {
        let c = terms(&c, "nurse", "days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]");
        terms(&c, "dba", "hours = \"00:00-24:00\"\notherwise = \"nurse_home\"")
            + "[role.nurse_home]\ndefault = true\nscope = \"none\"\n"
    });
    let nurse = watched(&proxy, "nurse_amy").await;
    let prepared = nurse.client.prepare(COUNT).await.unwrap();
    let inside: i64 = nurse.client.query_one(&prepared, &[]).await.unwrap().get(0);
    assert!(inside > 0);
    let dba = watched(&proxy, "dba_gus").await;
    assert!(dba.count(COUNT).await > inside);
    // An hour that is not now.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let hour = (now / 3600 + 12) % 24;
    let other = format!("hours = \"{hour:02}:00-{hour:02}:30\"");
    assert!(proxy.reload_with(|c| {
        c.replace("days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]", &other)
            .replace("hours = \"00:00-24:00\"", &other)
    }));
    let error = nurse.refusal(COUNT).await;
    assert_eq!(error.code().code(), "42501");
    assert!(error.message().starts_with("GLS-209 role nurse may not be used at this hour"), "{error:?}");
    let error = nurse.client.query_one(&prepared, &[]).await.expect_err("prepared before");
    assert!(error.as_db_error().unwrap().message().starts_with("GLS-209"), "{error:?}");
    assert!(dba.refusal(COUNT).await.message().starts_with("GLS-220 role nurse_home"));
    assert!(refused(&proxy, "nurse_bob").await.message().contains("at this hour"));
    // The hour comes round again, and the session with it.
    assert!(proxy.reload_with(|c| c.replace(&other, "hours = \"00:00-24:00\"")));
    assert_eq!(nurse.count(COUNT).await, inside);
    assert!(dba.count(COUNT).await > inside);
}

#[tokio::test(flavor = "multi_thread")]
async fn assignments_of_several_sources_add_up_and_are_closed() {
    let database = Postgres::shared().demo();
    let superuser = database.superuser().await;
    superuser
        .batch_execute(
            "CREATE TABLE glass.on_call (who text, patient int8, until timestamptz, UNIQUE (who, patient)); \
             CREATE SCHEMA hr; CREATE TABLE hr.duty (who text, ward int); CREATE TABLE hr.stay (ward int, patient int8); \
             GRANT USAGE ON SCHEMA hr TO PUBLIC; GRANT SELECT ON glass.on_call, hr.duty, hr.stay TO PUBLIC; \
             GRANT INSERT ON hr.duty TO PUBLIC;",
        )
        .await.unwrap();
    let proxy = Proxy::start_with(&database, |c| {
        c + "[[assignment.source]]\nrelation = \"glass.on_call\"\nprincipal = \"who\"\npatient = \"patient\"\nvalid_to = \"until\"\n\
             [[assignment.source]]\nquery = \"SELECT d.who, s.patient FROM hr.duty d JOIN hr.stay s ON s.ward = d.ward\"\n"
    });
    let nurse = watched(&proxy, "nurse_amy").await;
    let own = nurse.count(COUNT).await;
    superuser
        .batch_execute(
            "INSERT INTO glass.on_call SELECT 'nurse_amy', patient_id, NULL FROM clinic.patient p \
               WHERE NOT EXISTS (SELECT 1 FROM glass.assigned a WHERE a.user_name = 'nurse_amy' AND a.patient_id = p.patient_id) \
               ORDER BY patient_id LIMIT 2; \
             INSERT INTO hr.stay SELECT 1, patient_id FROM clinic.patient p \
               WHERE NOT EXISTS (SELECT 1 FROM glass.assigned a WHERE a.user_name = 'nurse_amy' AND a.patient_id = p.patient_id) \
               ORDER BY patient_id DESC LIMIT 3;",
        )
        .await.unwrap();
    assert_eq!(nurse.count(COUNT).await, own + 2);
    superuser.batch_execute("INSERT INTO hr.duty VALUES ('nurse_amy', 1)").await.unwrap();
    assert_eq!(nurse.count(COUNT).await, own + 5);
    superuser.batch_execute("UPDATE glass.on_call SET until = now()").await.unwrap();
    assert_eq!(nurse.count(COUNT).await, own + 3);
    // What glass.why says, and what may be written, is read from the same sources.
    let theirs = superuser.count("SELECT min(patient) FROM hr.stay").await;
    let why = nurse.client.simple_query(&format!("SELECT * FROM glass.why('{theirs}')")).await.unwrap();
    assert!(format!("{why:?}").contains("this patient is assigned to you"), "{why:?}");
    for sql in [
        "SELECT * FROM glass.on_call",
        "SELECT * FROM hr.duty",
        "INSERT INTO hr.duty VALUES ('nurse_amy', 2)",
        "SELECT * FROM hr.stay",
        "COPY hr.stay TO STDOUT",
    ] {
        assert!(nurse.refusal(sql).await.message().starts_with("GLS-220"), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_tables_are_closed_to_all_but_those_who_are_named() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start_with(&database, |c| {
        (c + "[deny]\ntables = [\"clinic.allergy\"]\n").replace(
            "groups = [\"physician\"]",
            "groups = [\"physician\"]\nallow_denied = [\"clinic.allergy\"]",
        )
    });
    for user in ["nurse_amy", "bill_eva", "dba_gus"] {
        let session = watched(&proxy, user).await;
        for sql in [
            "SELECT * FROM clinic.allergy",
            "SELECT count(*) FROM clinic.patient p WHERE EXISTS (SELECT 1 FROM clinic.allergy a WHERE a.patient_id = p.patient_id)",
            "COPY clinic.allergy TO STDOUT",
            "DELETE FROM clinic.allergy",
        ] {
            let error = session.refusal(sql).await;
            assert!(error.message().starts_with("GLS-220"), "{user}: {sql}: {error:?}");
        }
        assert!(session.count(COUNT).await > 0, "{user}");
    }
    let physician = watched(&proxy, "dr_chen").await;
    assert!(physician.count("SELECT count(*) FROM clinic.allergy").await >= 0);
    // A rename does not open it.
    database.superuser().await.batch_execute("ALTER TABLE clinic.allergy RENAME TO allergy_2").await.unwrap();
    let dba = watched(&proxy, "dba_gus").await;
    crate::support::eventually("the catalog is read again", async || {
        let error = dba.client.batch_execute("SELECT * FROM clinic.allergy_2").await.expect_err("denied");
        error
            .as_db_error()
            .is_some_and(|e| e.message().starts_with("GLS-220 relation clinic.allergy_2 is denied"))
    })
    .await;
}
