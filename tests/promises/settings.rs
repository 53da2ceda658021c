//! A session's settings move nobody's patients: who is assigned to whom is the same under every time zone and format.

use std::time::{Duration, Instant};

use crate::common::{Postgres, Proxy};
use crate::support::{hide, replaced};
use crate::wire::Wire;

const STAGE: &str = "
    CREATE TABLE glass.duty (who text, patient_id int8, day date, until timestamp, ends timestamptz);
    CREATE TABLE glass.shift (who text, patient_id int8, UNIQUE (who, patient_id));
    INSERT INTO glass.duty
    SELECT 'nurse_amy', 880001, (now() AT TIME ZONE 'UTC')::date + n, (now() AT TIME ZONE 'UTC') - interval '1 hour', now() - interval '1 hour'
      FROM generate_series(-3, 3) n WHERE n <> 0;
    INSERT INTO glass.duty SELECT 'nurse_amy', 880002, (now() AT TIME ZONE 'UTC')::date, NULL, now() + interval '1 day';
    CREATE VIEW glass.rota AS SELECT who, patient_id FROM glass.duty WHERE ends > now() AND until IS NULL;
    GRANT SELECT ON ALL TABLES IN SCHEMA glass TO nurse, dba, pgglass;";

const SOURCES: &str = "
[[assignment.source]]
query = \"SELECT d.who, d.patient_id FROM glass.duty d WHERE d.day = pg_catalog.timezone('UTC', pg_catalog.now())::pg_catalog.date\"

[[assignment.source]]
query = \"SELECT d.who, d.patient_id FROM glass.duty d WHERE d.until > pg_catalog.timezone('UTC', pg_catalog.now()) OR d.ends > pg_catalog.now()\"

[[assignment.source]]
relation = \"glass.rota\"
principal = \"who\"
patient = \"patient_id\"

";

fn with(sources: &'static str) -> impl Fn(String) -> String {
    move |config| {
        replaced(hide(config), "valid_to = \"valid_to\"\n", &format!("valid_to = \"valid_to\"\n{sources}"))
    }
}

#[test]
fn settings_move_no_assignment() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    let proxy = Proxy::start_with(&database, with(SOURCES));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let sql = "SELECT patient_id FROM clinic.patient WHERE patient_id < 880100 ORDER BY 1";
    let hers = amy.query(sql).rows();
    let has = |id: &str| hers.iter().any(|row| row[0].as_deref() == Some(id));
    assert!(has("880002") && !has("880001"), "{hers:?}");
    for setting in [
        "TimeZone = '-100'",
        "TimeZone = '-167'",
        "TimeZone = '167'",
        "TIME ZONE 'Pacific/Kiritimati'",
        "TIME ZONE INTERVAL '-15:59' HOUR TO MINUTE",
        "DateStyle = 'SQL, DMY'",
        "DateStyle = 'German, YMD'",
        "IntervalStyle = 'sql_standard'",
        "array_nulls = off",
        "extra_float_digits = -15",
    ] {
        amy.ok(&format!("SET {setting}"));
        assert_eq!(amy.query(sql).rows(), hers, "{setting}");
        amy.ok("RESET ALL");
    }
}

/// It does not start with such a source; one that becomes such is noticed.
#[test]
fn a_source_that_settings_move_closes_what_rests_on_it() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    let source = "\n[[assignment.source]]\nrelation = \"glass.rota\"\nprincipal = \"who\"\npatient = \"patient_id\"\n\n";
    let proxy = Proxy::start_with(&database, with(source));
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let sql = "SELECT count(*) FROM clinic.patient";
    amy.ok(sql);
    let view = "CREATE OR REPLACE VIEW glass.rota AS SELECT who, patient_id FROM glass.duty WHERE day = current_date";
    database.server().psql(database.name(), view);
    let refused = || {
        let reply = Wire::through(&proxy, &database, "nurse_amy").query(sql);
        reply.failure().is_some_and(|f| f.sqlstate == "42501")
    };
    let soon = Instant::now() + Duration::from_secs(20);
    while !refused() {
        assert!(Instant::now() < soon, "the view is still believed");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(amy.query(sql).refusal().sqlstate, "42501");
    Wire::through(&proxy, &database, "dba_gus").ok(sql);
}
