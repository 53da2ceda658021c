//! Which functions, settings and system relations a restricted role may use: data, by name.
//!
//! Unknown is denied. Reasons stand in the design's function policy (classes: runs SQL text, reads
//! relations by name, files and server, session and identity, metadata that holds values). The
//! configuration can add functions per role; that is decided in `resolve`, not here.

mod safe;
mod settings;
mod system;
mod withheld;

pub(crate) use safe::{SafeCall, is_estimated, safe_call};
pub(crate) use settings::{Setting, setting, setting_allowed};
pub(crate) use system::{CLOSED_COLUMNS, system_relation_allowed};
pub(crate) use withheld::{is_withheld_relation, withheld_function, withheld_relation};

use std::collections::HashMap;
use std::sync::LazyLock;

/// One overload of a function of `pg_catalog`, as `builtins.tsv` has it (see `review.py` for the columns).
struct Builtin {
    name: &'static str,
    allowed: bool,
    /// It may run on rows that the filter has not seen yet.
    #[cfg_attr(not(test), allow(dead_code))]
    below: bool,
}

fn builtins() -> impl Iterator<Item = Builtin> {
    include_str!("builtins.tsv").lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        let (name, _) = columns.next()?.split_once('(')?;
        let verdict = columns.nth(2)?;
        Some(Builtin {
            name,
            allowed: verdict == "allow",
            below: matches!(columns.next(), Some("leakproof" | "reviewed")),
        })
    })
}

/// Which overload a call means depends on the types of its arguments: a name is allowed when all of them are.
static ALLOWED: LazyLock<HashMap<&'static str, bool>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for builtin in builtins() {
        *names.entry(builtin.name).or_insert(true) &= builtin.allowed;
    }
    names
});

/// True for a built-in function (of `pg_catalog`) that any role may call. What `builtins.tsv` does not have is denied.
pub(crate) fn builtin_allowed(name: &str) -> bool {
    ALLOWED.get(name) == Some(&true)
}

/// True for a built-in function that any role may call in a statement that reads no relation: what it
/// waits for, locks or sends is what the client itself has typed.
pub(crate) fn allowed_alone(schema: Option<&str>, name: &str) -> bool {
    matches!(schema, None | Some("pg_catalog"))
        && (matches!(name, "pg_sleep" | "pg_sleep_for" | "pg_sleep_until" | "pg_notify")
            || name.starts_with("pg_advisory_")
            || name.starts_with("pg_try_advisory_"))
}

/// Allowed functions that are volatile: they give another value at every call, so that a filter
/// over them is never equal to itself. Not safe below a guard.
#[cfg(test)]
const VOLATILE: [&str; 6] =
    ["random", "clock_timestamp", "gen_random_uuid", "timeofday", "setseed", "pg_is_in_recovery"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b28_to_b33_and_b80_to_b85_functions_are_not_on_the_list() {
        for name in [
            "query_to_xml",
            "query_to_xmlschema",
            "query_to_xml_and_xmlschema",
            "table_to_xml",
            "cursor_to_xml",
            "schema_to_xml",
            "database_to_xml",
            "database_to_xmlschema",
            "ts_stat",
            "ts_rewrite",
            "a_function_of_postgresql_30",
            "dblink",
            "crosstab",
            "connectby",
            "lo_get",
            "lo_export",
            "lo_import",
            "lo_open",
            "loread",
            "lowrite",
            "lo_put",
            "pg_read_file",
            "pg_read_binary_file",
            "pg_ls_dir",
            "pg_ls_waldir",
            "pg_stat_file",
            "pg_notify",
            "set_config",
            "nextval",
            "setval",
            "currval",
            "lastval",
            "pg_advisory_lock",
            "pg_try_advisory_lock",
            "pg_advisory_xact_lock",
            "pg_sleep",
            "pg_sleep_for",
            "pg_sleep_until",
            "pg_terminate_backend",
            "pg_cancel_backend",
            "pg_stat_get_live_tuples",
            "pg_stat_get_activity",
            "pg_relation_size",
            "pg_table_size",
            "pg_total_relation_size",
            "current_query",
            "get_raw_page",
            "heap_page_items",
            "pg_logical_emit_message",
            "pg_logical_slot_get_changes",
            "pg_export_snapshot",
            "pg_reload_conf",
            "binary_upgrade_set_missing_value",
            "pg_mcv_list_items",
            "pg_lock_status",
            "pg_prepared_statement",
            "pg_cursor",
            "pg_stat_get_backend_activity",
            "currtid2",
            "txid_status",
            "pg_sequence_last_value",
            "pg_control_system",
            "brin_summarize_new_values",
            "pg_create_restore_point",
        ] {
            assert!(!builtin_allowed(name), "{name}");
        }
    }

    #[test]
    fn b100_what_drivers_and_analysts_use_is_on_the_list() {
        for name in [
            "count",
            "sum",
            "avg",
            "array_agg",
            "string_agg",
            "json_agg",
            "percentile_cont",
            "row_number",
            "rank",
            "lag",
            "now",
            "date_trunc",
            "date_part",
            "extract",
            "age",
            "to_char",
            "to_date",
            "make_date",
            "lower",
            "upper",
            "substring",
            "btrim",
            "concat",
            "coalesce_not_a_function_but_concat_ws",
            "regexp_replace",
            "format",
            "round",
            "generate_series",
            "unnest",
            "jsonb_build_object",
            "to_jsonb",
            "row_to_json",
            "has_table_privilege",
            "pg_get_viewdef",
            "pg_get_indexdef",
            "pg_get_constraintdef",
            "pg_get_expr",
            "pg_get_userbyid",
            "pg_table_is_visible",
            "format_type",
            "obj_description",
            "col_description",
            "current_schema",
            "current_schemas",
            "current_database",
            "version",
            "pg_backend_pid",
            "current_setting",
            "pg_encoding_to_char",
            "pg_is_in_recovery",
            "pg_function_is_visible",
            "pg_get_function_result",
            "timezone",
            "like_escape",
            "overlay",
            "position",
            "is_normalized",
            "array_to_string",
            "any_value",
            "pg_my_temp_schema",
            "pg_is_other_temp_schema",
            "pg_typeof",
            "shobj_description",
            "pg_get_partkeydef",
            "pg_partition_ancestors",
            "pg_partition_root",
            "pg_partition_tree",
            "inet_client_addr",
            "inet_server_addr",
            "inet_server_port",
        ] {
            assert!(builtin_allowed(name) || name.contains("not_a_function"), "{name}");
        }
        assert!(VOLATILE.iter().all(|n| builtin_allowed(n)));
        for name in
            ["pg_conf_load_time", "pg_listening_channels", "hashtext", "pg_lsn_eq", "pg_jit_available"]
        {
            assert!(builtin_allowed(name), "{name}");
        }
    }

    #[test]
    fn every_overload_has_been_decided_and_what_runs_below_the_filter_was_reviewed() {
        let all: Vec<Builtin> = builtins().collect();
        assert!(all.len() > 2800, "{}", all.len());
        assert!(!include_str!("builtins.tsv").contains("\tundecided\t"));
        for name in [
            "lower",
            "btrim",
            "substr",
            "date_trunc",
            "extract",
            "concat",
            "split_part",
            "lpad",
            "cardinality",
        ] {
            assert!(safe_call(name).is_some(), "{name}");
        }
        for builtin in &all {
            if safe_call(builtin.name).is_some() {
                assert!(
                    all.iter().any(|b| b.name == builtin.name && b.below),
                    "{} is not reviewed",
                    builtin.name
                );
            }
        }
        for name in
            ["repeat", "replace", "to_number", "to_date", "chr", "json_array_length", "array_position", "age"]
        {
            assert!(safe_call(name).is_none(), "{name}");
            assert!(all.iter().filter(|b| b.name == name).all(|b| !b.below), "{name}");
        }
    }
}
