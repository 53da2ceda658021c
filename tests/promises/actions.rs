//! Foreign keys with an action: what the server does by itself to rows that refer to a row written. It is done to no row
//! that the user may not see, and the record names the patients of those that it is done to.

use crate::common::{Database, Postgres, Proxy};
use crate::support::{hide, replaced, told};
use crate::wire::{Reply, Wire};

/// Of trips, 1 and 2 are 880003's, 3 is 880051's (both nurse_amy's), 4 is 880001's, who is not. Of 2 a meal is 880001's, too.
const STAGE: &str = "
    CREATE TABLE clinic.trip (trip_id int8 PRIMARY KEY,
        patient_id int8 NOT NULL REFERENCES clinic.patient ON DELETE CASCADE ON UPDATE CASCADE, word text);
    CREATE TABLE clinic.meal (meal_id int8 PRIMARY KEY, patient_id int8 NOT NULL,
        trip_id int8 REFERENCES clinic.trip ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE clinic.dish (dish_id int8 PRIMARY KEY, meal_id int8 REFERENCES clinic.meal ON DELETE CASCADE);
    CREATE TABLE clinic.guest (guest_id int8 PRIMARY KEY, patient_id int8 NOT NULL,
        trip_id int8 REFERENCES clinic.trip ON DELETE SET NULL);
    CREATE TABLE clinic.room (room_id int8 PRIMARY KEY, word text);
    CREATE TABLE clinic.chair (chair_id int8 PRIMARY KEY, room_id int8 REFERENCES clinic.room ON DELETE CASCADE);
    CREATE TABLE clinic.seat (seat_id int8 PRIMARY KEY, patient_id int8 NOT NULL,
        chair_id int8 REFERENCES clinic.chair ON DELETE SET NULL);
    CREATE TABLE clinic.knot (knot_id int8 PRIMARY KEY, patient_id int8 NOT NULL,
        above int8 REFERENCES clinic.knot ON DELETE CASCADE);
    INSERT INTO clinic.trip VALUES (1, 880003, 'a'), (2, 880003, 'b'), (3, 880051, 'c'), (4, 880001, 'd');
    INSERT INTO clinic.meal VALUES (11, 880003, 1), (12, 880001, 2), (13, 880051, 3), (14, 880001, 4);
    INSERT INTO clinic.dish VALUES (21, 11), (22, 12), (23, 13), (24, 14);
    INSERT INTO clinic.guest VALUES (31, 880051, 1), (32, 880003, NULL), (33, 880027, 1);
    INSERT INTO clinic.room VALUES (1, 'a'), (2, 'b');
    INSERT INTO clinic.chair VALUES (1, 1), (2, 2);
    INSERT INTO clinic.seat VALUES (41, 880001, 1), (42, 880003, 2);
    INSERT INTO clinic.knot VALUES (51, 880003, NULL), (52, 880001, 51);
    CREATE TABLE clinic.worker (name text PRIMARY KEY);
    INSERT INTO clinic.worker SELECT DISTINCT user_name FROM glass.assigned;
    ALTER TABLE glass.assigned ADD FOREIGN KEY (user_name) REFERENCES clinic.worker ON UPDATE CASCADE ON DELETE CASCADE,
        ADD FOREIGN KEY (patient_id) REFERENCES clinic.patient ON DELETE CASCADE;
    CREATE TABLE clinic.code (code text PRIMARY KEY);
    CREATE TABLE clinic.link (code text PRIMARY KEY REFERENCES clinic.code ON UPDATE CASCADE, patient_id int8);
    CREATE TABLE clinic.book (code text PRIMARY KEY, patient_id int8);
    CREATE TABLE clinic.item (item_id int8 PRIMARY KEY, code text REFERENCES clinic.link ON UPDATE CASCADE, word text);
    INSERT INTO clinic.code VALUES ('own'), ('other');
    INSERT INTO clinic.link VALUES ('own', 880003), ('other', 880001);
    INSERT INTO clinic.book VALUES ('own', 880003), ('other', 880001);
    INSERT INTO clinic.item VALUES (1, 'own', 'a'), (2, 'other', 'b');
    CREATE TABLE clinic.doc (doc_id int8 PRIMARY KEY, patient_id int8 NOT NULL, code text UNIQUE);
    CREATE TABLE clinic.page (page_id int8 PRIMARY KEY, code text REFERENCES clinic.doc (code) ON UPDATE CASCADE);
    CREATE TABLE clinic.fold (fold_id int8 PRIMARY KEY, patient_id int8 NOT NULL, doc_id int8 REFERENCES clinic.doc ON DELETE CASCADE);
    CREATE TABLE clinic.dust (dust_id int8 PRIMARY KEY, room_id int8 REFERENCES clinic.room ON UPDATE CASCADE);
    INSERT INTO clinic.doc VALUES (61, 880003, 'own'), (62, 880003, NULL);
    INSERT INTO clinic.page VALUES (1, 'own');
    INSERT INTO clinic.fold VALUES (1, 880001, 61), (2, 880003, 62);
    ALTER TABLE clinic.fold ENABLE ROW LEVEL SECURITY;
    CREATE POLICY seen ON clinic.fold USING (patient_id <> 880001);
    GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.worker, clinic.code, clinic.book, clinic.doc, clinic.page, clinic.fold,
        clinic.item TO nurse, dba;
    GRANT SELECT ON clinic.link TO nurse, dba;
    GRANT TRUNCATE ON ALL TABLES IN SCHEMA clinic TO nurse, dba;
    GRANT TRUNCATE ON glass.assigned TO nurse;
    GRANT SELECT, INSERT, UPDATE, DELETE ON clinic.trip, clinic.meal, clinic.dish, clinic.guest, clinic.room,
        clinic.chair, clinic.seat, clinic.knot TO nurse, dba;";

/// Every row that is not hers.
const OTHERS: &str = "
    SELECT t::text FROM clinic.trip t WHERE patient_id = 880001 UNION ALL SELECT m::text FROM clinic.meal m WHERE patient_id = 880001
    UNION ALL SELECT d::text FROM clinic.dish d WHERE dish_id IN (22, 24)
    UNION ALL SELECT s::text FROM clinic.seat s WHERE patient_id = 880001
    UNION ALL SELECT k::text FROM clinic.knot k WHERE patient_id = 880001
    UNION ALL SELECT f::text FROM clinic.fold f WHERE patient_id = 880001 UNION ALL SELECT p::text FROM clinic.page p
    UNION ALL SELECT l::text FROM clinic.link l UNION ALL SELECT b::text FROM clinic.book b
    UNION ALL SELECT md5(string_agg(a::text, ',' ORDER BY a)) FROM glass.assigned a ORDER BY 1";

fn stage(config: String) -> String {
    let entry = |t: &str| format!("[[table]]\nname = \"clinic.{t}\"\nclass = \"visits\"\n");
    let mut tables: String =
        ["trip", "meal", "guest", "seat", "knot"].map(|t| entry(t) + "key = \"patient_id\"\n\n").concat();
    tables += &(entry("doc") + "key = \"patient_id\"\n\n" + &entry("fold") + "key = \"patient_id\"\n\n");
    for (table, over) in [("item", "link"), ("page", "book")] {
        tables += &entry(table);
        tables += &format!(
            "via = [{{ column = \"code\", table = \"clinic.{over}\", references = \"code\" }}]\nkey = \"patient_id\"\n\n"
        );
    }
    tables += &(entry("dish")
        + "via = [{ column = \"meal_id\", table = \"clinic.meal\", references = \"meal_id\" }]\nkey = \"patient_id\"\n\n");
    let config = replaced(hide(config), "[reference]", &format!("{tables}[reference]"));
    replaced(
        config,
        "\"clinic.drug\"]",
        "\"clinic.drug\", \"clinic.room\", \"clinic.chair\", \"clinic.worker\", \"clinic.code\"]",
    )
}

fn start() -> (Database<'static>, Proxy<'static>) {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    let proxy = Proxy::start_with(&database, stage);
    (database, proxy)
}

fn tag(reply: &Reply) -> String {
    match reply.failure() {
        Some(failure) => failure.sqlstate,
        None => reply.commands().concat(),
    }
}

/// Writes of hers by which rows that are not hers would be changed, and what must come of them.
const WAYS: &[(&str, &str)] = &[
    ("DELETE FROM clinic.trip WHERE trip_id = 2", "DELETE 0"),
    ("DELETE FROM clinic.trip t WHERE t.trip_id = 2 AND 10 / (t.trip_id - 1) > 0", "DELETE 0"),
    ("DELETE FROM clinic.trip WHERE word LIKE 'b%' OR 1 / length(word) = 0", "DELETE 0"),
    ("DELETE FROM clinic.trip USING (VALUES (2), (4)) AS v (n) WHERE trip_id = n RETURNING word", "DELETE 0"),
    ("WITH d AS (DELETE FROM clinic.trip WHERE trip_id = 2 RETURNING *) SELECT count(*) FROM d", "SELECT 1"),
    ("UPDATE clinic.trip SET trip_id = 102 WHERE trip_id = 2", "UPDATE 0"),
    ("UPDATE clinic.trip SET (word, trip_id) = ('x', 102) FROM clinic.room WHERE trip_id = 2", "UPDATE 0"),
    (
        "INSERT INTO clinic.trip VALUES (2, 880003, 'x') ON CONFLICT (trip_id) DO UPDATE SET trip_id = 102",
        "42501",
    ),
    (
        "MERGE INTO clinic.trip t USING (VALUES (2)) v (n) ON t.trip_id = v.n WHEN MATCHED THEN DELETE",
        "42501",
    ),
    ("DELETE FROM clinic.room WHERE room_id = 1", "42501"),
    ("DELETE FROM clinic.chair WHERE chair_id = 1", "42501"),
    ("WITH d AS (DELETE FROM clinic.chair RETURNING 1) SELECT count(*) FROM clinic.patient", "42501"),
    ("DELETE FROM clinic.knot WHERE knot_id = 51", "42501"),
    // What one write makes refer to the row that another one deletes.
    (
        "WITH m AS (UPDATE clinic.meal SET trip_id = 1 WHERE meal_id = 12 RETURNING 1) DELETE FROM clinic.trip WHERE trip_id = 1",
        "42501",
    ),
    // What decides whose rows are whose.
    ("UPDATE clinic.worker SET name = 'zz' WHERE name = 'nurse_amy'", "42501"),
    ("DELETE FROM clinic.worker WHERE name = 'dr_chen'", "42501"),
    ("UPDATE clinic.code SET code = 'x' WHERE code = 'other'", "42501"),
    ("UPDATE clinic.book SET patient_id = 880003 WHERE code = 'other'", "42501"),
    ("DELETE FROM clinic.book", "42501"),
    // Rows that would be another patient's, that the condition would not see, that nobody may.
    ("UPDATE clinic.doc SET code = 'other' WHERE doc_id = 61", "42501"),
    ("DELETE FROM clinic.doc WHERE doc_id = 61", "42501"),
    ("UPDATE clinic.room SET room_id = 3 WHERE room_id = 2", "42501"),
    ("TRUNCATE clinic.room CASCADE", "42501"),
    ("TRUNCATE ONLY clinic.worker RESTART IDENTITY CASCADE", "42501"),
    // What sets nothing off.
    ("UPDATE clinic.doc SET patient_id = 880003 WHERE doc_id = 61", "UPDATE 1"),
    ("DELETE FROM clinic.worker WHERE false", "42501"),
    ("UPDATE clinic.trip SET word = 'y' WHERE trip_id = 2", "UPDATE 1"),
    ("UPDATE clinic.room SET word = 'y'", "UPDATE 2"),
    ("UPDATE clinic.knot SET knot_id = 51 WHERE knot_id = 51", "UPDATE 1"),
    (
        "INSERT INTO clinic.trip VALUES (2, 880003, 'x') ON CONFLICT (trip_id) DO UPDATE SET word = excluded.word",
        "INSERT 0 1",
    ),
    ("DELETE FROM clinic.meal WHERE meal_id = 12", "DELETE 0"),
];

#[test]
fn no_hidden_row_is_changed_by_a_foreign_key() {
    let (database, proxy) = start();
    let others = || database.server().psql(database.name(), OTHERS);
    let before = others();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let mut wrong = Vec::new();
    for extended in [false, true] {
        for (sql, wanted) in WAYS {
            let got = tag(&if extended { amy.extended(sql, &[]) } else { amy.query(sql) });
            if got != *wanted {
                wrong.push(format!("{sql}: {got}, not {wanted}"));
            }
            if others() != before {
                wrong.push(format!("{sql}: {}", others()));
                return assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // All of hers that nothing of others hangs on.
    assert_eq!(tag(&amy.query("DELETE FROM clinic.trip")), "DELETE 2");
    assert_eq!(others(), before);
}

#[test]
fn rows_that_go_with_it_are_hers_and_recorded() {
    let (database, proxy) = start();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let sql = "UPDATE clinic.trip SET trip_id = 101 WHERE trip_id = 3 /* moved */";
    assert_eq!(tag(&amy.query(sql)), "UPDATE 1");
    let sql = "DELETE FROM clinic.trip WHERE trip_id = 1 /* hers */";
    assert_eq!(tag(&amy.query(sql)), "DELETE 1");
    let left = "SELECT string_agg(x, ' ' ORDER BY x) FROM (SELECT m.meal_id || ':' || coalesce(trip_id, 0) FROM clinic.meal m
        UNION ALL SELECT 'dish' || dish_id FROM clinic.dish
        UNION ALL SELECT 'guest' || guest_id || ':' || coalesce(trip_id, 0) FROM clinic.guest) t (x)";
    let left = database.server().psql(database.name(), left);
    assert_eq!(left.trim(), "12:2 13:101 14:4 dish22 dish23 dish24 guest31:0 guest32:0 guest33:0");
    let told = told(&proxy, sql);
    assert!(told.names("880003") && told.names("880051") && !told.names("880001"), "{told:?}");
    assert_eq!(told.exact, Some(false), "{told:?}");
}

/// Who reads one of the tables masked cannot be told exactly, but nobody is left out: 880027 has no trip of their own.
#[test]
fn behind_masks_nobody_is_left_out_of_the_record() {
    let database = Postgres::shared().demo();
    database.server().psql(database.name(), STAGE);
    for masked in ["trip", "guest"] {
        let proxy = Proxy::start_with(&database, |config| {
            let masks = format!("[role.nurse.masks.\"clinic.{masked}\"]\n{}_id = \"null\"\n\n[role.", masked);
            let config = stage(config);
            let at = config.find("[role.nurse]").expect("the role");
            let (before, from) = config.split_at(at);
            let from = from.replacen("\n[role.", &format!("\n{masks}"), 1);
            format!("{before}{from}")
        });
        let mut amy = Wire::through(&proxy, &database, "nurse_amy");
        let sql = format!("DELETE FROM clinic.trip WHERE patient_id = 880003 /* masked {masked} */");
        amy.ok("BEGIN");
        assert_eq!(tag(&amy.query(&sql)), "DELETE 1");
        amy.ok("ROLLBACK");
        let told = told(&proxy, &sql);
        assert!(told.names("880027") && told.names("880051") && !told.names("880001"), "{masked}: {told:?}");
    }
}

#[test]
fn who_sees_everyone_is_recorded_with_them() {
    let (database, proxy) = start();
    let mut gus = Wire::through(&proxy, &database, "dba_gus");
    let sql = "DELETE FROM clinic.trip WHERE trip_id = 2 /* two of them */";
    assert_eq!(tag(&gus.query(sql)), "DELETE 1");
    let one = told(&proxy, sql);
    assert!(
        one.names("880003") && one.names("880001") && !one.names("880051") && !one.all_patients,
        "{one:?}"
    );
    for sql in [
        "DELETE FROM clinic.room WHERE room_id = 1 /* whoever sits there */",
        "DELETE FROM clinic.knot WHERE knot_id = 51 /* round and round */",
        "TRUNCATE clinic.room CASCADE /* whoever is left */",
    ] {
        let wanted = if sql.starts_with("TRUNCATE") { "TRUNCATE TABLE" } else { "DELETE 1" };
        assert_eq!(tag(&gus.query(sql)), wanted);
        let all = told(&proxy, sql);
        assert!(all.all_patients, "{sql}: {all:?}");
    }
    let sql = "UPDATE clinic.trip SET word = 'z' WHERE trip_id = 3 /* nobody else */";
    assert_eq!(tag(&gus.query(sql)), "UPDATE 1");
    let one = told(&proxy, sql);
    assert!(one.exact == Some(true) && one.patients.len() == 1, "{one:?}");
}
