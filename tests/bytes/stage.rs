//! Where a script is played: a server of its own with two copies of one database, one for each way, so that both
//! have the same rows and object identifiers, and each is changed by its own player only.

use std::sync::{Mutex, OnceLock};

use crate::common::wire::Wire;
use crate::common::{Database, Postgres, Proxy, patients_of_amy};

/// Tables that are declared reference tables, for scripts that write.
const SCRATCH: &str = "
    CREATE SCHEMA scratch;
    CREATE TABLE scratch.t (
        a int PRIMARY KEY, b text, c numeric(10,2), d varchar(20), e timestamptz(3), f bytea, CHECK (a < 1000000));
    INSERT INTO scratch.t SELECT g, 'row ' || g, g / 3.0, 'd' || g, '2026-01-01'::timestamptz + g * interval '1 h',
        int4send(g) FROM generate_series(1, 200) g;
    CREATE TABLE scratch.log (n serial, words text);
    CREATE FUNCTION scratch.told() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RAISE NOTICE ''written %'', NEW.words; RETURN NEW; END';
    CREATE TRIGGER told BEFORE INSERT ON scratch.log FOR EACH ROW EXECUTE FUNCTION scratch.told();
    GRANT USAGE ON SCHEMA scratch TO PUBLIC;
    GRANT ALL ON ALL TABLES IN SCHEMA scratch TO PUBLIC;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA scratch TO PUBLIC;";

/// Two ways to the same rows.
pub(crate) struct Stage {
    /// The database that is reached past the proxy.
    pub(crate) plain: Database<'static>,
    /// The database behind the proxy.
    pub(crate) behind: Database<'static>,
    /// The proxy.
    pub(crate) proxy: Proxy<'static>,
    user: &'static str,
}

impl Stage {
    /// For this user. Of the protected rows, the database past the proxy has those that a restricted user may see.
    pub(crate) fn of(user: &'static str) -> Stage {
        Self::with(user, user == "nurse_amy", |config| config)
    }

    /// For this user, whose policy is only watched: both databases have every row.
    pub(crate) fn observed(user: &'static str) -> Stage {
        Self::with(user, false, |config| format!("mode = \"observe\"\n{config}"))
    }

    fn with(user: &'static str, hidden: bool, edit: fn(String) -> String) -> Stage {
        static MAKING: Mutex<()> = Mutex::new(());
        let making = MAKING.lock().unwrap_or_else(|p| p.into_inner());
        let template = template();
        let (plain, behind) = (template.database.server().copy_of(&template.database), copy(template));
        if hidden {
            leave_amys(&plain);
        }
        drop(making);
        let proxy = Proxy::start_with(&behind, |config| {
            let config = changed(edit(config), "cleartext = \"never\"", "cleartext = \"loopback\"");
            let config = changed(config, "outside = \"block\"", "outside = \"hide\"");
            let config = changed(config, "rows_withheld = true", "rows_withheld = false");
            changed(config, "\"clinic.drug\"]", "\"clinic.drug\", \"scratch.t\", \"scratch.log\"]")
        });
        Stage { plain, behind, proxy, user }
    }

    /// A session past the proxy.
    pub(crate) fn direct(&self) -> Wire {
        Wire::direct(&self.plain, self.user)
    }

    /// A session through the proxy.
    pub(crate) fn through(&self) -> Wire {
        Wire::through(&self.proxy, &self.behind, self.user)
    }
}

struct Template {
    database: Database<'static>,
}

fn copy(template: &'static Template) -> Database<'static> {
    template.database.server().copy_of(&template.database)
}

/// The database that the copies are made of, on a server that can prepare transactions.
fn template() -> &'static Template {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let server = SERVER.get_or_init(Postgres::start);
        server.psql("postgres", "ALTER SYSTEM SET max_prepared_transactions = 10");
        server.stop();
        server.start_again();
        let database = server.demo();
        server.psql(database.name(), SCRATCH);
        Template { database }
    })
}

fn changed(config: String, from: &str, to: &str) -> String {
    assert!(config.contains(from), "the demonstration's configuration has no {from:?}");
    config.replace(from, to)
}

/// Leaves what belongs to the patients of `nurse_amy`.
fn leave_amys(database: &Database<'_>) {
    let mine = patients_of_amy().iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let mut sql = String::from(
        "BEGIN; SET LOCAL session_replication_role = replica;
         DELETE FROM clinic.lab_result r WHERE order_id IS NULL OR NOT EXISTS
             (SELECT FROM clinic.lab_order o WHERE o.order_id = r.order_id AND o.patient_id IN (",
    );
    sql += &format!("{mine}));");
    for table in [
        "clinic.note",
        "clinic.lab_order",
        "clinic.medication_order",
        "clinic.allergy",
        "clinic.problem",
        "clinic.care_team",
        "clinic.appointment",
        "clinic.bed_assignment",
        "clinic.encounter",
        "clinic.patient",
        "glass.assigned",
    ] {
        sql += &format!("DELETE FROM {table} WHERE (patient_id IN ({mine})) IS NOT TRUE;");
    }
    database.server().psql(database.name(), &(sql + "COMMIT;"));
}
