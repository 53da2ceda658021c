//! Columns that are renamed past the proxy while it runs: masks go by names, and what was masked is not shown under
//! another one. Of renames of tables: `tests/policy_bind.rs`.

use std::time::Duration;

use crate::common::{Database, Postgres, Proxy};
use crate::p2_categories::gls;
use crate::p2_enforcement::{CANARY, assert_no_canary};
use crate::support::{hide, replaced, told, within};
use crate::wire::Wire;

/// The nurse sees others' patients masked; billing and the analyst see masks of every row, one of them by a preset; for
/// the nurse and billing the titles of problems are of a closed category.
fn config(text: String) -> String {
    let text = replaced(hide(text), "outside = \"hide\"", "outside = \"mask\"");
    let text =
        replaced(text, "groups = [\"analyst\"]", "groups = [\"analyst\"]\nmasks_preset = \"safe_harbor\"");
    let problem = "name = \"clinic.problem\"\nclass = \"problems\"\nkey = \"patient_id\"\n";
    let by = "column_categories = { title = { category = \"PSY\", mask = \"redact\" } }\n";
    let text = replaced(text, problem, &format!("{problem}{by}"));
    let text = replaced(text, "[role.dba]\n", "[role.dba]\ncategories = \"all\"\n");
    format!("{text}\n[role.nurse.outside_masks.\"clinic.patient\"]\nsex = \"none\"\nname = \"redact\"\n")
}

/// Canaries in all that one of them sees masked; the nurse's own patients are not asked for.
fn database<'a>() -> Database<'a> {
    let database = Postgres::shared().demo();
    database.server().psql(
        database.name(),
        &format!(
            "UPDATE clinic.patient SET ssn = '{CANARY}' || patient_id, name = '{CANARY}', phone = '{CANARY}', \
                 email = '{CANARY}';
             UPDATE clinic.problem SET title = '{CANARY}';
             ALTER TABLE clinic.patient ADD tail text GENERATED ALWAYS AS (right(ssn, 40)) STORED;
             CREATE VIEW clinic.people AS SELECT patient_id, ssn, name, tail FROM clinic.patient;
             GRANT SELECT ON clinic.people TO nurse, billing, analyst"
        ),
    );
    database
}

const USERS: [&str; 3] = ["nurse_amy", "bill_eva", "ana_fox"];

/// What is asked after a change of `table`: of it, and of a view of it that has no entry.
fn asked(table: &str, columns: &[&str]) -> Vec<String> {
    let stranger = "WHERE patient_id = 881234";
    let by_name = |(table, column): (&str, &&str)| {
        [
            format!("SELECT {column} FROM clinic.{table} {stranger}"),
            format!("SELECT patient_id FROM clinic.{table} {stranger} AND {column} LIKE '{CANARY}%'"),
        ]
    };
    let whole = |table: &str| {
        [
            format!("SELECT * FROM clinic.{table} {stranger}"),
            format!("SELECT t::text FROM clinic.{table} t {stranger}"),
        ]
    };
    let tables = if table == "patient" { &["patient", "people"][..] } else { &["problem"] };
    let all = tables.iter().flat_map(|t| columns.iter().map(|c| (*t, c)).flat_map(by_name).chain(whole(t)));
    all.collect()
}

#[test]
fn a_masked_column_is_not_shown_under_another_name() {
    let database = database();
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    let proxy = Proxy::start_with(&database, config);
    let mut users = USERS.map(|user| Wire::through(&proxy, &database, user));
    let closed = |wire: &mut Wire, sql: &str| {
        wire.query(sql).failure().is_some_and(|f| f.message.starts_with("GLS-220"))
    };
    let open = |wire: &mut Wire, sql: &str| wire.query(sql).failure().is_none();
    for (change, undo, columns, of, concerned) in [
        (
            "ALTER TABLE clinic.patient RENAME ssn TO social",
            "ALTER TABLE clinic.patient RENAME social TO ssn",
            &["social", "tail"][..],
            "patient",
            &[1, 2][..],
        ),
        (
            "ALTER TABLE clinic.patient RENAME name TO nm",
            "ALTER TABLE clinic.patient RENAME nm TO name",
            &["nm"],
            "patient",
            &[2],
        ),
        (
            "BEGIN; ALTER TABLE clinic.patient RENAME name TO x; ALTER TABLE clinic.patient RENAME language TO name; \
             ALTER TABLE clinic.patient RENAME x TO language; COMMIT",
            "BEGIN; ALTER TABLE clinic.patient RENAME name TO x; ALTER TABLE clinic.patient RENAME language TO name; \
             ALTER TABLE clinic.patient RENAME x TO language; COMMIT",
            &["language"],
            "patient",
            &[2],
        ),
        (
            "ALTER TABLE clinic.patient ALTER tail DROP EXPRESSION",
            "ALTER TABLE clinic.patient DROP tail CASCADE; \
             ALTER TABLE clinic.patient ADD tail text GENERATED ALWAYS AS (right(ssn, 40)) STORED; \
             CREATE VIEW clinic.people AS SELECT patient_id, ssn, name, tail FROM clinic.patient; \
             GRANT SELECT ON clinic.people TO nurse, billing, analyst",
            &["tail"],
            "patient",
            &[1, 2],
        ),
        (
            "ALTER TABLE clinic.problem RENAME title TO heading",
            "ALTER TABLE clinic.problem RENAME heading TO title",
            &["heading"],
            "problem",
            &[0, 1, 2],
        ),
    ] {
        let count = format!("SELECT count(*) FROM clinic.{of}");
        assert!(users.iter_mut().all(|user| open(user, &count)), "before {change}");
        owner(change);
        for number in concerned {
            let noticed = within(Duration::from_secs(5), || closed(&mut users[*number], &count));
            assert!(noticed, "{change}: {}", USERS[*number]);
        }
        for (number, user) in users.iter_mut().enumerate() {
            if !concerned.contains(&number) {
                assert!(open(user, &count), "{change}: {}", USERS[number]);
            }
            if number == 1 && !concerned.contains(&number) {
                // Names are shown to it.
                continue;
            }
            user.forget();
            for sql in asked(of, columns) {
                user.query(&sql);
                user.extended(&sql, &[]);
            }
            assert_no_canary(user);
        }
        owner(undo);
        for user in &mut users {
            assert!(within(Duration::from_secs(5), || open(user, &count)), "after {undo}");
        }
    }
    let log = proxy.log();
    for told in [
        "clinic.patient: column social, which was ssn when the policy was loaded, is masked otherwise now, or not at all, \
         for analyst, billing: clinic.patient is closed to analyst, billing",
        "reload it (SIGHUP)",
        "clinic.patient has no column ssn, for which analyst, billing has a mask",
        "clinic.problem has no column title, which has a category",
    ] {
        assert!(log.contains(told), "{told}\n{log}");
    }
}

/// What tells whose a row is goes by a name, too.
#[test]
fn rows_are_told_by_no_column_that_took_the_name_of_the_key() {
    let database = Postgres::shared().demo();
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    let proxy = Proxy::start_with(&database, hide);
    let mut users = ["nurse_amy", "ana_fox"].map(|user| Wire::through(&proxy, &database, user));
    let exchange = "BEGIN; ALTER TABLE clinic.allergy RENAME patient_id TO x; ALTER TABLE clinic.allergy RENAME allergy_id TO patient_id; \
                    ALTER TABLE clinic.allergy RENAME x TO allergy_id; COMMIT";
    let count = "SELECT count(*) FROM clinic.allergy";
    let shown = users.each_mut().map(|user| user.ok(count).value());
    let closed =
        |wire: &mut Wire| wire.query(count).failure().is_some_and(|f| f.message.starts_with("GLS-220"));
    owner(exchange);
    for user in &mut users {
        assert!(within(Duration::from_secs(5), || closed(user)));
    }
    // Who has no limits reads it, and nobody can be told from it.
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    gus.ok("SELECT count(*) FROM clinic.allergy WHERE patient_id > 0");
    assert!(told(&proxy, "SELECT count(*) FROM clinic.allergy WHERE patient_id > 0").all_patients);
    let said = "clinic.allergy: column patient_id is another one than when the policy was loaded, that one is allergy_id now";
    assert!(proxy.log().contains(said), "{}", proxy.log());
    owner(exchange);
    for (user, shown) in users.iter_mut().zip(shown) {
        assert!(within(Duration::from_secs(5), || !closed(user)));
        assert_eq!(user.ok(count).value(), shown);
    }
    owner(exchange);
    assert!(within(Duration::from_secs(5), || closed(&mut users[1])));
    // Whoever loads the policy means the columns by the names they have.
    assert!(proxy.reload_with(|text| text), "{}", proxy.log());
    assert!(!closed(&mut users[1]));
}

/// Whoever reloads for another reason has not seen that a column has another name: what is closed stays so, and the rest
/// of the configuration is taken.
#[test]
fn a_reload_opens_no_column_that_it_does_not_name() {
    let database = database();
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    let proxy = Proxy::start_with(&database, config);
    let mut eva = Wire::through(&proxy, &database, "bill_eva");
    let mut ana = Wire::through(&proxy, &database, "ana_fox");
    let count = "SELECT count(*) FROM clinic.patient";
    let closed =
        |wire: &mut Wire| wire.query(count).failure().is_some_and(|f| f.message.starts_with("GLS-220"));
    owner(
        "BEGIN; ALTER TABLE clinic.patient RENAME ssn TO social; ALTER TABLE clinic.patient ADD ssn text; COMMIT",
    );
    for user in [&mut eva, &mut ana] {
        assert!(within(Duration::from_secs(5), || closed(user)));
    }
    let unlike = |text: String| replaced(text, "idle_close = \"15min\"", "idle_close = \"14min\"");
    assert!(proxy.reload_with(unlike), "{}", proxy.log());
    for user in [&mut eva, &mut ana] {
        user.forget();
        for sql in asked("patient", &["social", "tail"]) {
            user.query(&sql);
        }
        assert!(closed(user), "{}", proxy.log());
        assert_no_canary(user);
    }
    // Clear by its name.
    let clear = |text: String| text.replacen("ssn = \"redact\"", "ssn = \"redact\"\nsocial = \"none\"", 1);
    assert!(proxy.reload_with(clear), "{}", proxy.log());
    assert_eq!(eva.query(count).failure(), None, "{}", proxy.log());
    assert!(eva.ok("SELECT social FROM clinic.patient LIMIT 1").value().starts_with(CANARY));
    assert!(closed(&mut ana), "{}", proxy.log());
}

/// What stands for a value goes by names as well, of the table that keeps it.
#[test]
fn a_surrogate_is_not_what_took_its_name() {
    let database = database();
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    owner(&format!(
        "CREATE TABLE glass.codes (ssn text PRIMARY KEY, code text UNIQUE, real text UNIQUE);
         INSERT INTO glass.codes SELECT DISTINCT ssn, 'S' || row_number() OVER (), '{CANARY}' || ssn FROM clinic.patient WHERE ssn IS NOT NULL;
         GRANT SELECT ON glass.codes TO billing; GRANT USAGE ON SCHEMA glass TO billing"
    ));
    let proxy = Proxy::start_with(&database, |text| {
        let mask =
            "ssn = { mask = \"surrogate\", table = \"glass.codes\", value = \"ssn\", surrogate = \"code\" }";
        config(text).replacen("ssn = \"redact\"", mask, 1)
    });
    let mut eva = Wire::through(&proxy, &database, "bill_eva");
    let sql = "SELECT ssn FROM clinic.patient WHERE patient_id = 880003";
    let shown =
        |eva: &mut Wire| Some(eva.query(sql)).filter(|got| got.failure().is_none()).map(|got| got.value());
    let before = shown(&mut eva);
    assert!(before.as_ref().is_some_and(|code| code.starts_with('S')), "{before:?}");
    for (change, undo) in [
        (
            "ALTER TABLE glass.codes RENAME code TO x; ALTER TABLE glass.codes RENAME real TO code",
            "ALTER TABLE glass.codes RENAME code TO real; ALTER TABLE glass.codes RENAME x TO code",
        ),
        (
            "ALTER TABLE glass.codes RENAME TO gone; CREATE TABLE glass.codes AS SELECT ssn, real AS code FROM glass.gone; \
             CREATE UNIQUE INDEX ON glass.codes (ssn); GRANT SELECT ON glass.codes TO billing",
            "DROP TABLE glass.codes; ALTER TABLE glass.gone RENAME TO codes",
        ),
    ] {
        owner(change);
        assert!(within(Duration::from_secs(5), || shown(&mut eva).is_none()), "{change}");
        eva.forget();
        for sql in [sql, "SELECT * FROM clinic.patient", "SELECT DISTINCT ssn, tail FROM clinic.patient"] {
            assert_eq!(gls(&eva.query(sql).refusal()), "GLS-220", "{change}");
        }
        assert_no_canary(&eva);
        owner(undo);
        assert!(within(Duration::from_secs(5), || shown(&mut eva) == before), "{undo}");
    }
    assert!(proxy.log().contains("or of the table of its surrogates"), "{}", proxy.log());
}

#[test]
fn a_reload_takes_what_a_start_takes() {
    let database = database();
    let owner = |sql: &str| database.server().psql(database.name(), sql);
    let proxy = Proxy::start_with(&database, config);
    let mut eva = Wire::through(&proxy, &database, "bill_eva");
    let count = "SELECT count(*) FROM clinic.patient";
    assert_eq!(eva.query(count).failure(), None);
    owner("ALTER TABLE clinic.patient RENAME ssn TO social");
    assert!(within(Duration::from_secs(5), || eva.query(count).failure().is_some()));
    // What `check` calls an error is not in force; what is stays so.
    assert!(!proxy.reload_with(|text| text));
    assert!(proxy.log().contains("clinic.patient.ssn: role billing masks a column that does not exist"));
    assert_eq!(gls(&eva.query(count).refusal()), "GLS-220");
    let by_new_name = |text: String| text.replace("ssn = \"redact\"", "social = \"redact\"");
    assert!(proxy.reload_with(by_new_name), "{}", proxy.log());
    eva.forget();
    assert_eq!(
        eva.ok("SELECT DISTINCT social, tail FROM clinic.patient").rows(),
        [[Some("***".to_owned()), None]]
    );
    assert_no_canary(&eva);
    // An error that only the database's facts tell: a step that reaches many rows.
    owner(
        "ALTER TABLE clinic.lab_result DROP CONSTRAINT lab_result_order_id_fkey; \
         ALTER TABLE clinic.lab_order DROP CONSTRAINT lab_order_pkey",
    );
    assert!(!proxy.reload_with(|text| text));
    assert!(proxy.log().contains("clinic.lab_order.order_id is not unique"), "{}", proxy.log());
    assert_eq!(eva.query(count).failure(), None, "the old one is in force");
}
