//! Which run-time settings a restricted role may give, by SET or when it logs in.
//!
//! The list is of names that are harmless; everything else is denied by default. Values are
//! looked at where a name is harmless only with some of them.

/// What SET may do with a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Any value.
    Free,
    /// Only one of these values (ASCII case ignored), or RESET/DEFAULT.
    OneOf(&'static [&'static str]),
    /// Not settable by a restricted role.
    Denied,
}

const UTF8: &[&str] = &["utf8", "unicode"];
const ON: &[&str] = &["on", "true", "yes", "1"];
/// Levels below `notice` print plans and internals of the rewritten statement to the client.
const MESSAGES: &[&str] = &["notice", "warning", "error"];

const FREE: &[&str] = &[
    "application_name",
    "search_path",
    "datestyle",
    "intervalstyle",
    "timezone",
    "extra_float_digits",
    "bytea_output",
    "xmloption",
    "xmlbinary",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lc_messages",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "client_connection_check_interval",
    "transaction_isolation",
    "transaction_read_only",
    "transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "default_transaction_deferrable",
    "synchronous_commit",
    "work_mem",
    "maintenance_work_mem",
    "temp_buffers",
    "hash_mem_multiplier",
    "effective_cache_size",
    "random_page_cost",
    "seq_page_cost",
    "cpu_tuple_cost",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "synchronize_seqscans",
    "restrict_nonsystem_relation_kind",
    "geqo",
    "geqo_threshold",
    "join_collapse_limit",
    "from_collapse_limit",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "geqo_effort",
    "geqo_pool_size",
    "geqo_generations",
    "geqo_selection_bias",
    "geqo_seed",
    "cursor_tuple_fraction",
    "recursive_worktable_factor",
    "plan_cache_mode",
    "constraint_exclusion",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_parallel_maintenance_workers",
    "min_parallel_table_scan_size",
    "min_parallel_index_scan_size",
    "parallel_leader_participation",
    "effective_io_concurrency",
    "maintenance_io_concurrency",
    "io_combine_limit",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "default_text_search_config",
    "gin_pending_list_limit",
    // Of what ANALYZE gathers, and how fast VACUUM goes: of tables of one's own.
    "default_statistics_target",
    "vacuum_cost_delay",
    "vacuum_cost_limit",
    "vacuum_cost_page_hit",
    "vacuum_cost_page_miss",
    "vacuum_cost_page_dirty",
    "vacuum_buffer_usage_limit",
    "temp_tablespaces",
    // What `random()` gives next.
    "seed",
    // Of backslashes in the client's own text.
    "escape_string_warning",
    "array_nulls",
    // Functions cannot be created by a restricted role.
    "check_function_bodies",
    "quote_all_identifiers",
    "default_toast_compression",
    "enable_seqscan",
    "enable_indexscan",
    "enable_indexonlyscan",
    "enable_bitmapscan",
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_sort",
    "enable_incremental_sort",
    "enable_hashagg",
    "enable_material",
    "enable_memoize",
    "enable_partitionwise_join",
    "enable_partitionwise_aggregate",
    "enable_partition_pruning",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_gathermerge",
    "enable_tidscan",
    "enable_async_append",
    "enable_presorted_aggregate",
    "enable_group_by_reordering",
    "enable_distinct_reordering",
    "enable_self_join_elimination",
    "ssl_renegotiation_limit",
];

/// What a restricted role may do with `name`. A custom `x.y` setting is its own affair, unless
/// `x` is ours or one of the server's extensions that print statements.
pub(crate) fn setting(name: &str) -> Setting {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "client_encoding" => Setting::OneOf(UTF8),
        "standard_conforming_strings" => Setting::OneOf(ON),
        "client_min_messages" => Setting::OneOf(MESSAGES),
        // On is the default, and off the wish to see more: PostgreSQL itself then fails what it would
        // filter. It is refused as what it is; pg_dump has `--enable-row-security`.
        "row_security" => Setting::OneOf(ON),
        // Back to who logged in.
        "role" => Setting::OneOf(&["none"]),
        // What the server has anyway: scripts of pg_dump begin with these.
        "default_table_access_method" => Setting::OneOf(&["heap"]),
        "default_tablespace" => Setting::OneOf(&[""]),
        n if FREE.contains(&n) => Setting::Free,
        n => match n.split_once('.') {
            Some((prefix, _))
                if ![
                    "glass",
                    "pgglass",
                    "auto_explain",
                    "pg_stat_statements",
                    "plpgsql",
                    "plperl",
                    "plpython",
                    "pltcl",
                    "pgaudit",
                    "pg_hint_plan",
                    "sepgsql",
                    "passwordcheck",
                    "postgres_fdw",
                    "dblink",
                    "cron",
                ]
                .contains(&prefix)
                    && !prefix.starts_with("__glass") =>
            {
                Setting::Free
            }
            _ => Setting::Denied,
        },
    }
}

/// True when a restricted role may give the setting `name` this value.
pub(crate) fn setting_allowed(name: &str, value: &str) -> bool {
    match setting(name) {
        Setting::Free => true,
        // The server reads `UTF8`, `utf-8` and `Utf_8` alike (`clean_encoding_name`, encnames.c).
        Setting::OneOf(values) if name.eq_ignore_ascii_case("client_encoding") => {
            let bare: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
            values.iter().any(|v| v.eq_ignore_ascii_case(&bare))
        }
        Setting::OneOf(values) => values.iter().any(|v| v.eq_ignore_ascii_case(value)),
        Setting::Denied => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b38_b39_b78_b86_b87_settings() {
        for name in [
            "session_authorization",
            "session_replication_role",
            "debug_print_plan",
            "log_statement",
            "log_min_duration_statement",
            "auto_explain.log_analyze",
            "local_preload_libraries",
            "dynamic_library_path",
            "glass.user",
            "unknown_setting",
            // They change what a text means to the server, or show how a rewritten one is run.
            "backslash_quote",
            "transform_null_equals",
            "timezone_abbreviations",
            "trace_sort",
            // How many rows it leaves out depends on how many match, hidden ones among them.
            "gin_fuzzy_search_limit",
            "trace_notify",
            "debug_parallel_query",
            "force_parallel_mode",
            "session_preload_libraries",
        ] {
            assert_eq!(setting(name), Setting::Denied, "{name}");
        }
        assert_eq!(setting("Search_Path"), Setting::Free);
        assert_eq!(setting("app.user"), Setting::Free);
        assert_eq!(setting("client_encoding"), Setting::OneOf(UTF8));
        assert_eq!(setting("STANDARD_CONFORMING_STRINGS"), Setting::OneOf(ON));
        for alias in ["UTF8", "utf-8", "Unicode", "UTF_8"] {
            assert!(setting_allowed("Client_Encoding", alias), "{alias}");
        }
        for other in ["latin1", "SQL_ASCII", "utf16", "", "default"] {
            assert!(!setting_allowed("client_encoding", other), "{other}");
        }
        for (name, harmless, other) in [
            ("role", "none", "dba"),
            ("default_tablespace", "", "fast"),
            ("default_table_access_method", "heap", "own"),
        ] {
            assert!(setting_allowed(name, harmless) && !setting_allowed(name, other), "{name}");
        }
        assert!(setting_allowed("row_security", "on") && !setting_allowed("row_security", "off"));
    }
}
