//! System relations and functions that a restricted role may read with what they tell of hidden rows, of other people's
//! statements or of secrets withheld: data, by name. How a query is rewritten with them is in `redact`. What is neither
//! here nor in `system` stays closed.

use std::fmt::Write;

use crate::catalog::{Catalog, QualifiedName, quote_ident};

/// Which rows of a withheld relation are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    /// Those of this session.
    Own,
    /// Those whose name is not one of the proxy's.
    NotOurs,
    None,
}

/// A relation of `pg_catalog`: every column that is not among `open` reads as NULL of its type.
struct Withheld {
    name: &'static str,
    open: &'static [&'static str],
    rows: Rows,
}

/// Which relation it is about, and nothing of how large it is or how it is used.
const TABLE: &[&str] = &["relid", "schemaname", "relname"];
const INDEX: &[&str] = &["relid", "indexrelid", "schemaname", "relname", "indexrelname"];
const FUNCTION: &[&str] = &["funcid", "schemaname", "funcname"];
const DATABASE: &[&str] = &["datid", "datname"];

const fn all(name: &'static str, open: &'static [&'static str]) -> Withheld {
    Withheld { name, open, rows: Rows::All }
}

const fn none(name: &'static str) -> Withheld {
    Withheld { name, open: &[], rows: Rows::None }
}

const RELATIONS: &[Withheld] = &[
    all("pg_stat_all_tables", TABLE),
    all("pg_stat_sys_tables", TABLE),
    all("pg_stat_user_tables", TABLE),
    all("pg_stat_xact_all_tables", TABLE),
    all("pg_stat_xact_sys_tables", TABLE),
    all("pg_stat_xact_user_tables", TABLE),
    all("pg_statio_all_tables", TABLE),
    all("pg_statio_sys_tables", TABLE),
    all("pg_statio_user_tables", TABLE),
    all("pg_statio_all_sequences", TABLE),
    all("pg_statio_sys_sequences", TABLE),
    all("pg_statio_user_sequences", TABLE),
    all("pg_stat_all_indexes", INDEX),
    all("pg_stat_sys_indexes", INDEX),
    all("pg_stat_user_indexes", INDEX),
    all("pg_statio_all_indexes", INDEX),
    all("pg_statio_sys_indexes", INDEX),
    all("pg_statio_user_indexes", INDEX),
    // Rows of functions that were called only.
    Withheld { name: "pg_stat_user_functions", open: FUNCTION, rows: Rows::None },
    Withheld { name: "pg_stat_xact_user_functions", open: FUNCTION, rows: Rows::None },
    all("pg_stat_database", DATABASE),
    all("pg_stat_database_conflicts", DATABASE),
    all("pg_stat_archiver", &[]),
    all("pg_stat_bgwriter", &[]),
    all("pg_stat_checkpointer", &[]),
    all("pg_stat_wal", &[]),
    all("pg_stat_slru", &["name"]),
    none("pg_stat_io"),
    none("pg_stat_recovery_prefetch"),
    none("pg_stat_replication"),
    none("pg_stat_replication_slots"),
    none("pg_stat_subscription"),
    none("pg_stat_subscription_stats"),
    none("pg_stat_wal_receiver"),
    none("pg_stat_progress_analyze"),
    none("pg_stat_progress_basebackup"),
    none("pg_stat_progress_cluster"),
    none("pg_stat_progress_copy"),
    none("pg_stat_progress_create_index"),
    none("pg_stat_progress_vacuum"),
    none("pg_prepared_xacts"),
    none("pg_replication_slots"),
    none("pg_replication_origin_status"),
    // Its own session, without the text that the server was sent: that is the guarded one.
    Withheld {
        name: "pg_stat_activity",
        open: &[
            "datid",
            "datname",
            "pid",
            "leader_pid",
            "usesysid",
            "usename",
            "application_name",
            "client_addr",
            "client_hostname",
            "client_port",
            "backend_start",
            "xact_start",
            "query_start",
            "state_change",
            "wait_event_type",
            "wait_event",
            "state",
            "backend_type",
        ],
        rows: Rows::Own,
    },
    // Without the places of rows.
    Withheld {
        name: "pg_locks",
        open: &[
            "locktype",
            "database",
            "relation",
            "virtualxid",
            "transactionid",
            "classid",
            "objid",
            "objsubid",
            "virtualtransaction",
            "pid",
            "mode",
            "granted",
            "fastpath",
            "waitstart",
        ],
        rows: Rows::Own,
    },
    Withheld {
        name: "pg_prepared_statements",
        open: &["name", "prepare_time", "parameter_types", "result_types", "from_sql"],
        rows: Rows::NotOurs,
    },
    Withheld {
        name: "pg_cursors",
        open: &["name", "is_holdable", "is_binary", "is_scrollable", "creation_time"],
        rows: Rows::NotOurs,
    },
    // The last value tells how many rows there are.
    all(
        "pg_sequences",
        &[
            "schemaname",
            "sequencename",
            "sequenceowner",
            "data_type",
            "start_value",
            "min_value",
            "max_value",
            "increment_by",
            "cycle",
            "cache_size",
        ],
    ),
    // Options may be passwords; settings of other roles may be anything.
    all("pg_user_mappings", &["umid", "srvid", "srvname", "umuser", "usename"]),
    all("pg_db_role_setting", &["setdatabase", "setrole"]),
];

/// What a function that is not called gives instead of its answer: NULL of this type.
const FUNCTIONS: &[(&str, &str)] = &[
    ("pg_blocking_pids", "int4[]"),
    ("pg_database_size", "int8"),
    ("pg_indexes_size", "int8"),
    ("pg_last_wal_receive_lsn", "pg_lsn"),
    ("pg_last_wal_replay_lsn", "pg_lsn"),
    ("pg_last_xact_replay_timestamp", "timestamptz"),
    ("pg_relation_size", "int8"),
    ("pg_safe_snapshot_blocking_pids", "int4[]"),
    ("pg_stat_get_blocks_fetched", "int8"),
    ("pg_stat_get_blocks_hit", "int8"),
    ("pg_stat_get_dead_tuples", "int8"),
    ("pg_stat_get_last_analyze_time", "timestamptz"),
    ("pg_stat_get_last_autoanalyze_time", "timestamptz"),
    ("pg_stat_get_last_autovacuum_time", "timestamptz"),
    ("pg_stat_get_last_vacuum_time", "timestamptz"),
    ("pg_stat_get_live_tuples", "int8"),
    ("pg_stat_get_mod_since_analyze", "int8"),
    ("pg_stat_get_numscans", "int8"),
    ("pg_stat_get_tuples_deleted", "int8"),
    ("pg_stat_get_tuples_fetched", "int8"),
    ("pg_stat_get_tuples_inserted", "int8"),
    ("pg_stat_get_tuples_returned", "int8"),
    ("pg_stat_get_tuples_updated", "int8"),
    ("pg_table_size", "int8"),
    ("pg_tablespace_size", "int8"),
    ("pg_total_relation_size", "int8"),
];

/// The type of the NULL that stands for the answer of a function.
pub(crate) fn withheld_function(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(n, _)| *n == name).map(|(_, ty)| *ty)
}

/// True for a relation of `pg_catalog` that is read withheld.
pub(crate) fn is_withheld_relation(name: &str) -> bool {
    RELATIONS.iter().any(|w| w.name == name)
}

/// The query that is read in place of a relation of `pg_catalog`, without brackets: the same columns with the same types.
pub(crate) fn withheld_relation(name: &str, catalog: &Catalog) -> Option<String> {
    let withheld = RELATIONS.iter().find(|w| w.name == name)?;
    let relation = catalog.lookup(&QualifiedName::new("pg_catalog", name))?;
    let mut sql = String::from("SELECT ");
    for (i, column) in relation.columns.iter().enumerate() {
        if i > 0 {
            sql.push_str(", ");
        }
        let quoted = quote_ident(&column.name);
        if withheld.open.contains(&column.name.as_str()) {
            sql.push_str(&quoted);
        } else if column.builtin_type {
            write!(sql, "NULL::{} AS {quoted}", qualified(&column.type_sql)).ok()?;
        } else {
            return None;
        }
    }
    write!(sql, " FROM pg_catalog.{}", quote_ident(name)).ok()?;
    sql.push_str(match withheld.rows {
        Rows::All => "",
        Rows::Own => " WHERE pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()",
        Rows::NotOurs => " WHERE NOT pg_catalog.starts_with(name, '__glass')",
        Rows::None => " WHERE false",
    });
    Some(sql)
}

/// A built-in type's name such that no type of the user's can be meant. Names of several words and of the grammar's own
/// (`integer`) can only be built in.
fn qualified(type_sql: &str) -> String {
    const GRAMMAR: [&str; 12] = [
        "bigint",
        "bit",
        "boolean",
        "character",
        "double",
        "integer",
        "interval",
        "numeric",
        "real",
        "smallint",
        "time",
        "timestamp",
    ];
    let word = type_sql.split([' ', '(', '[']).next().unwrap_or_default();
    if GRAMMAR.contains(&word) { type_sql.to_owned() } else { format!("pg_catalog.{type_sql}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::functions::{builtin_allowed, system_relation_allowed};

    #[test]
    fn b74_b75_b79_what_is_withheld_is_not_open_and_statistics_of_values_are_not_withheld() {
        for withheld in RELATIONS {
            assert_eq!(
                system_relation_allowed("pg_catalog", withheld.name),
                Some(false),
                "{}",
                withheld.name
            );
        }
        for (function, _) in FUNCTIONS {
            assert!(!builtin_allowed(function), "{function}");
        }
        for name in
            ["pg_stats", "pg_stats_ext", "pg_statistic", "pg_authid", "pg_stat_statements", "pg_largeobject"]
        {
            assert!(!is_withheld_relation(name), "{name}");
        }
        for column in
            ["query", "backend_xid", "backend_xmin", "n_live_tup", "setconfig", "last_value", "statement"]
        {
            assert!(RELATIONS.iter().all(|w| !w.open.contains(&column)), "{column}");
        }
    }

    #[test]
    fn a_type_is_never_the_users() {
        assert_eq!(qualified("timestamp with time zone"), "timestamp with time zone");
        assert_eq!(qualified("text[]"), "pg_catalog.text[]");
        assert_eq!(qualified("\"char\""), "pg_catalog.\"char\"");
    }
}
