//! Where queries are played: databases of one schema with the rows of a seed, and pgglass in front of some.

use std::sync::{Mutex, OnceLock};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::common::wire::Wire;
use crate::common::{Database, Postgres, Proxy};
use crate::data::{Rows, Who};
use crate::schema::{OWNER, configuration, definition};

/// A database whose rows can be changed.
pub(crate) struct Copy {
    pub(crate) database: Database<'static>,
    owner: Wire,
}

/// A copy of the schema's database; all have the same object identifiers.
pub(crate) fn copy() -> Copy {
    static TEMPLATE: OnceLock<Database<'static>> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(|p| p.into_inner());
    let template = TEMPLATE.get_or_init(|| Postgres::shared().database_with(&definition()));
    let database = template.server().copy_of(template);
    let owner = Wire::direct(&database, OWNER);
    let mut copy = Copy { database, owner };
    let name = copy.database.name().to_owned();
    copy.run(&format!("ALTER DATABASE {name} SET statement_timeout = '4s'"));
    copy.run(&format!("ALTER DATABASE {name} SET jit = off"));
    copy
}

/// pgglass in front of a copy.
pub(crate) fn proxy(copy: &Copy) -> Proxy<'static> {
    Proxy::start_from(&copy.database, &configuration(), |text| text)
}

impl Copy {
    pub(crate) fn run(&mut self, sql: &str) {
        self.owner.ok(sql);
        self.owner.forget();
    }

    /// Gives it these rows.
    pub(crate) fn fill(&mut self, rows: &Rows, who: Who, masked: bool) {
        self.run(&rows.sql(who, masked));
    }

    /// Other settings of the planner for sessions from now on, and statistics or none.
    pub(crate) fn disturb(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let name = self.database.name().to_owned();
        let mut sql = format!(
            "ALTER DATABASE {name} RESET ALL; ALTER DATABASE {name} SET statement_timeout = '4s'; \
             ALTER DATABASE {name} SET jit = off;"
        );
        let switches = [
            "enable_hashjoin",
            "enable_mergejoin",
            "enable_nestloop",
            "enable_seqscan",
            "enable_indexscan",
            "enable_bitmapscan",
            "enable_hashagg",
            "enable_sort",
            "enable_material",
            "enable_memoize",
        ];
        for switch in switches {
            if rng.random_bool(0.2) {
                sql += &format!("ALTER DATABASE {name} SET {switch} = off;");
            }
        }
        let others: [(&str, &[&str]); 6] = [
            ("plan_cache_mode", &["force_generic_plan", "force_custom_plan"]),
            ("random_page_cost", &["0", "1000"]),
            ("cpu_operator_cost", &["0", "100"]),
            ("force_parallel_mode", &["on"]),
            ("from_collapse_limit", &["1"]),
            ("join_collapse_limit", &["1"]),
        ];
        for (setting, values) in others {
            if let (true, Some(value)) = (rng.random_bool(0.2), values.choose(&mut rng)) {
                sql += &format!("ALTER DATABASE {name} SET {setting} = {value};");
            }
        }
        for statement in sql.split_inclusive(';') {
            self.run(statement);
        }
        if rng.random_bool(0.5) {
            self.run("ANALYZE");
        }
    }
}

/// Mixes numbers into a seed.
pub(crate) fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |all, part| {
        let mixed = (all ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 32)
    })
}
