//! What a wait for a row lock shows. At READ COMMITTED PostgreSQL goes on with the new version of the row and the old
//! snapshot of everything else: a row that became another patient's meanwhile, by a change of the tables its patient is
//! found over, must neither be shown nor changed; a row that did not goes its way as without pgglass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::time::{Duration, Instant};

use common::wire::{Reply, Wire};
use common::{Database, Postgres, Proxy};

const SCHEMA: &str = include_str!("races/stage.sql");
const POLICY: &str = include_str!("races/stage.toml");

struct Stage {
    database: Database<'static>,
    proxy: Proxy<'static>,
}

fn stage() -> Stage {
    let database = Postgres::shared().database_with(SCHEMA);
    let proxy = Proxy::start_from(&database, POLICY, |config| config);
    Stage { database, proxy }
}

impl Stage {
    fn fill(&self) {
        self.sql("SELECT fill()");
    }

    fn sql(&self, text: &str) -> String {
        self.database.server().psql(self.database.name(), text)
    }

    /// Runs `text` while another session, which has done `meanwhile`, holds the rows it asks for, and
    /// commits when it waits.
    fn while_waiting(&self, wire: &mut Wire, meanwhile: &str, text: &str, extended: bool) -> Reply {
        let mut other = Wire::direct(&self.database, "dba_gus");
        other.ok("BEGIN");
        other.ok(meanwhile);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| if extended { wire.extended(text, &[]) } else { wire.query(text) });
            let until = Instant::now() + Duration::from_secs(20);
            // Of this database: other tests wait at the same server.
            let waits = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
                         WHERE NOT granted AND datname = current_database()";
            while self.sql(waits).trim() == "0" {
                assert!(!asked.is_finished(), "{text}: did not wait");
                assert!(Instant::now() < until, "{text}: does not wait");
            }
            other.ok("COMMIT");
            asked.join().unwrap()
        })
    }
}

/// Statements on the item 111 of visit 11, of patient 101, who is the nurse's.
const LOCKING: [&str; 15] = [
    "UPDATE item SET n = n + 1 WHERE iid = 111 RETURNING *",
    "UPDATE item AS i SET n = i.n + 1 FROM visit v WHERE v.vid = i.vid AND i.iid = 111 RETURNING i.*",
    "UPDATE item SET n = n + 1 WHERE iid = 111 AND 10 / n < 100 RETURNING *",
    "DELETE FROM item WHERE iid = 111 RETURNING *",
    "DELETE FROM item USING visit v WHERE v.vid = item.vid AND iid = 111 RETURNING item.*",
    "SELECT * FROM item WHERE iid = 111 FOR UPDATE",
    "SELECT i.*, v.note FROM item i JOIN visit v USING (vid) WHERE iid = 111 FOR NO KEY UPDATE OF i",
    "SELECT * FROM (SELECT iid, txt FROM item WHERE iid = 111) s FOR SHARE",
    "WITH w AS (UPDATE item SET n = 7 WHERE iid = 111 RETURNING *) SELECT * FROM w",
    "INSERT INTO item VALUES (111, 11, 'new', 5) ON CONFLICT (iid) DO UPDATE SET n = item.n + 1 RETURNING *",
    "UPDATE item SET vid = 13 WHERE iid = 111 RETURNING iid, txt",
    "WITH q AS (SELECT iid FROM item WHERE iid = 111 FOR UPDATE) UPDATE item SET n = n + 1 FROM q WHERE item.iid = q.iid RETURNING item.*",
    "UPDATE item SET n = w.n FROM jsonb_to_recordset('[{\"id\": 111, \"n\": 4}]') AS w(id int, n int) WHERE item.iid = w.id RETURNING item.*",
    "MERGE INTO item i USING (VALUES (111)) AS s(id) ON i.iid = s.id WHEN MATCHED THEN UPDATE SET n = i.n + 1",
    "MERGE INTO item i USING visit v ON i.vid = v.vid AND i.iid = 111 AND 10 / i.n < 100 WHEN MATCHED THEN DELETE",
];

/// Those that the server knows: MERGE came with 15.
fn locking(stage: &Stage) -> impl Iterator<Item = &'static str> + use<> {
    let merges = stage.sql("SELECT current_setting('server_version_num')::int >= 150000").trim() == "t";
    LOCKING.into_iter().filter(move |text| merges || !text.starts_with("MERGE"))
}

#[test]
fn rows_that_became_anothers_during_the_wait_are_neither_shown_nor_changed() {
    let stage = stage();
    // Visit 11 goes to patient 102; a new visit takes over the item; the way of a part goes through two tables.
    for move_away in [
        "UPDATE visit SET pid = 102 WHERE vid = 11; UPDATE item SET txt = 'CANARY' WHERE iid = 111",
        "INSERT INTO visit VALUES (19, 102, 'x'); UPDATE item SET vid = 19, txt = 'CANARY' WHERE iid = 111",
        "UPDATE item SET vid = 12, txt = 'CANARY' WHERE iid = 111",
    ] {
        for text in locking(&stage) {
            for extended in [false, true] {
                stage.fill();
                let mut nurse = Wire::through(&stage.proxy, &stage.database, "nurse_amy");
                let reply = stage.while_waiting(&mut nurse, move_away, text, extended);
                let what = format!("{text} (extended: {extended}) while {move_away}: {reply:?}");
                assert!(!nurse.received.windows(6).any(|w| w == b"CANARY"), "{what}");
                let code = reply.failure().map(|f| (f.sqlstate.clone(), f.gls()));
                let failed = code == Some(("40001".into(), Some("GLS-211".into())));
                assert!(failed || (code.is_none() && reply.rows().is_empty()), "{what}");
                assert_eq!(stage.sql("SELECT txt, n FROM item WHERE iid = 111").trim(), "CANARY|1", "{what}");
                assert!(nurse.query("SELECT 1").failure().is_none(), "{what}");
            }
        }
    }
}

#[test]
fn rows_that_stayed_the_users_are_written_as_without_a_proxy() {
    let stage = stage();
    for change in [
        "UPDATE item SET txt = 'later', n = 3 WHERE iid = 111",
        // The foreign key locks the visit, which leaves a trace on it.
        "INSERT INTO item VALUES (191, 11, 'another', 1); UPDATE item SET txt = 'later', n = 3 WHERE iid = 111",
        "UPDATE visit SET note = 'later' WHERE vid = 13; UPDATE item SET txt = 'later', n = 3 WHERE iid = 111",
    ] {
        for text in locking(&stage).filter(|t| !t.contains("SET vid")) {
            for extended in [false, true] {
                let [mut direct, mut through] = [
                    Wire::direct(&stage.database, "nurse_amy"),
                    Wire::through(&stage.proxy, &stage.database, "nurse_amy"),
                ];
                let mut replies = Vec::new();
                for wire in [&mut direct, &mut through] {
                    stage.fill();
                    let reply = stage.while_waiting(wire, change, text, extended);
                    let after = stage.sql("SELECT * FROM item ORDER BY iid");
                    replies.push((reply.rows(), reply.commands(), reply.failure(), after));
                }
                assert_eq!(replies[0], replies[1], "{text} (extended: {extended}) while {change}");
                assert!(replies[0].2.is_none(), "{text}: {replies:?}");
            }
        }
    }
}

/// What was deleted leaves no newer version; neither does a link that is gone while others stay.
#[test]
fn ways_that_are_gone_are_not_taken_for_unchanged() {
    let stage = stage();
    for (change, table, id) in [
        ("DELETE FROM visit WHERE vid = 14", "loose", "lid"),
        ("DELETE FROM visit WHERE vid = 14; INSERT INTO visit VALUES (14, 102, 'x')", "loose", "lid"),
        ("DELETE FROM visit WHERE vid = 14; UPDATE visit SET vid = 14 WHERE vid = 15", "loose", "lid"),
        ("DELETE FROM lives WHERE pid = 101", "address", "aid"),
        ("UPDATE lives SET pid = 102 WHERE pid = 101", "address", "aid"),
    ] {
        for text in [
            format!("UPDATE {table} SET txt = txt || '!' WHERE {id} = 1 RETURNING *"),
            format!("DELETE FROM {table} WHERE {id} = 1 RETURNING *"),
            format!("SELECT * FROM {table} WHERE {id} = 1 FOR SHARE"),
        ] {
            stage.fill();
            let mut nurse = Wire::through(&stage.proxy, &stage.database, "nurse_amy");
            let change = format!("{change}; UPDATE {table} SET txt = 'CANARY' WHERE {id} = 1");
            let reply = stage.while_waiting(&mut nurse, &change, &text, true);
            assert!(!nurse.received.windows(6).any(|w| w == b"CANARY"), "{text} while {change}: {reply:?}");
            let code = reply.failure().map(|f| f.sqlstate);
            assert_eq!(code.as_deref(), Some("40001"), "{text} while {change}: {reply:?}");
            let left = stage.sql(&format!("SELECT txt FROM {table} WHERE {id} = 1"));
            assert_eq!(left.trim(), "CANARY", "{text} while {change}");
            // Where nothing of the way changed, it goes on.
            stage.fill();
            let change = format!("UPDATE {table} SET txt = 'later' WHERE {id} = 1");
            let reply = stage.while_waiting(&mut nurse, &change, &text, false);
            assert_eq!(reply.rows().len(), 1, "{text} while {change}: {reply:?}");
        }
    }
}

/// Where rows outside are shown masked, a row that went outside during the wait is not shown clear.
#[test]
fn rows_that_became_anothers_are_not_shown_clear_to_who_sees_them_masked() {
    let stage = stage();
    for (change, table, id) in [
        ("DELETE FROM lives WHERE pid = 101", "address", "aid"),
        ("UPDATE lives SET pid = 102 WHERE pid = 101", "address", "aid"),
        ("UPDATE visit SET pid = 102 WHERE vid = 14", "loose", "lid"),
    ] {
        for text in [
            format!("SELECT * FROM {table} WHERE {id} = 1 FOR UPDATE"),
            format!("SELECT {id}, txt FROM {table} WHERE {id} = 1 FOR SHARE"),
            format!("SELECT * FROM (SELECT * FROM {table}) s WHERE {id} = 1 FOR UPDATE"),
            format!("UPDATE {table} SET txt = 'mine' WHERE {id} = 1"),
            format!("DELETE FROM {table} WHERE {id} = 1"),
        ] {
            stage.fill();
            let mut bob = Wire::through(&stage.proxy, &stage.database, "nurse_bob");
            // The masked form cannot be locked: there is nothing to wait for.
            if text.starts_with("SELECT") {
                assert_eq!(bob.query(&text).refusal().gls().as_deref(), Some("GLS-240"), "{text}");
                continue;
            }
            let change = format!("{change}; UPDATE {table} SET txt = 'CANARY' WHERE {id} = 1");
            let reply = stage.while_waiting(&mut bob, &change, &text, true);
            assert_eq!(
                reply.failure().and_then(|f| f.gls()).as_deref(),
                Some("GLS-211"),
                "{text}: {reply:?}"
            );
            assert!(!bob.received.windows(6).any(|w| w == b"CANARY"), "{text} while {change}: {reply:?}");
            let left = stage.sql(&format!("SELECT txt FROM {table} WHERE {id} = 1"));
            assert_eq!(left.trim(), "CANARY", "{text} while {change}");
        }
    }
}

/// A cursor locks when it is fetched, by the snapshot of its beginning.
#[test]
fn a_cursor_that_locks_shows_nothing_that_moved_since() {
    let stage = stage();
    for (change, table, id) in [
        ("DELETE FROM lives WHERE pid = 101", "address", "aid"),
        ("UPDATE visit SET pid = 102 WHERE vid = 14", "loose", "lid"),
    ] {
        stage.fill();
        let mut nurse = Wire::through(&stage.proxy, &stage.database, "nurse_amy");
        nurse.ok("BEGIN");
        nurse.ok(&format!("DECLARE c CURSOR FOR SELECT * FROM {table} WHERE {id} = 1 FOR UPDATE"));
        stage.sql(&format!("{change}; UPDATE {table} SET txt = 'CANARY' WHERE {id} = 1"));
        let reply = nurse.query("FETCH ALL FROM c");
        assert!(!nurse.received.windows(6).any(|w| w == b"CANARY"), "{change}: {reply:?}");
        assert_eq!(reply.failure().and_then(|f| f.gls()).as_deref(), Some("GLS-211"), "{change}: {reply:?}");
    }
}

/// Two sessions insert one row at once: the second finds a row that its snapshot does not have.
#[test]
fn an_upsert_that_meets_a_new_row_updates_it() {
    let stage = stage();
    let text = "INSERT INTO item VALUES (120, 11, 'mine', 1) ON CONFLICT (iid) DO UPDATE SET n = item.n + 10 \
                RETURNING iid, txt, n";
    for (theirs, rows) in [("11, 'theirs'", vec!["theirs"]), ("12, 'CANARY'", vec![])] {
        stage.fill();
        let mut nurse = Wire::through(&stage.proxy, &stage.database, "nurse_amy");
        let insert = format!("INSERT INTO item VALUES (120, {theirs}, 1)");
        let reply = stage.while_waiting(&mut nurse, &insert, text, true);
        let got: Vec<_> = reply.rows().into_iter().map(|r| r[1].clone().unwrap()).collect();
        assert_eq!(got, rows, "{reply:?}");
        assert!(!nurse.received.windows(6).any(|w| w == b"CANARY"), "{reply:?}");
        let n = stage.sql("SELECT n FROM item WHERE iid = 120");
        assert_eq!(n.trim(), if rows.is_empty() { "1" } else { "11" });
    }
}

/// A visit that goes to another partition leaves no newer version of itself behind.
#[test]
fn ways_through_partitions_are_not_taken_for_unchanged() {
    let stage = stage();
    for text in [
        "UPDATE part SET txt = txt || '!' WHERE part_id = 1 RETURNING *",
        "SELECT * FROM part WHERE part_id = 1 FOR UPDATE",
        "UPDATE member SET txt = txt || '!' WHERE member_id = 1 RETURNING *",
        "SELECT * FROM member WHERE member_id = 1 FOR UPDATE",
    ] {
        stage.fill();
        let mut nurse = Wire::through(&stage.proxy, &stage.database, "nurse_amy");
        let change = "UPDATE stay SET pid = 102 WHERE sid = 1; UPDATE part SET txt = 'CANARY' WHERE part_id = 1; \
                      UPDATE joins SET pid = 102 WHERE member_id = 1; UPDATE member SET txt = 'CANARY' WHERE member_id = 1";
        let reply = stage.while_waiting(&mut nurse, change, text, false);
        assert!(!nurse.received.windows(6).any(|w| w == b"CANARY"), "{text}: {reply:?}");
        let failed = reply.failure().map(|f| f.sqlstate);
        assert!(
            failed == Some("40001".into()) || (failed.is_none() && reply.rows().is_empty()),
            "{text}: {reply:?}"
        );
    }
}

/// A row with a key of its own is judged anew by PostgreSQL; whose it was when its patient is changed has to be known.
#[test]
fn a_change_of_the_patient_is_recorded_with_whose_the_row_was() {
    let stage = stage();
    stage.fill();
    let mut nurse = Wire::through(&stage.proxy, &stage.database, "nurse_amy");
    let text = "UPDATE visit SET pid = 103 WHERE vid = 13 RETURNING vid";
    let reply = stage.while_waiting(&mut nurse, "UPDATE visit SET pid = 104 WHERE vid = 13", text, false);
    assert_eq!(reply.failure().map(|f| f.sqlstate), Some("40001".into()), "{reply:?}");
    assert_eq!(nurse.query(text).rows().len(), 1);
    nurse.ok("UPDATE visit SET note = 'plain' WHERE vid = 13");
    let named = |patient: &str| stage.proxy.report(patient).len();
    assert!(named("104") > 0 && named("103") > 0);
}
