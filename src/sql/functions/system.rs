//! Which system relations (`pg_catalog`, `information_schema`) a restricted role may read.
//!
//! Structure is allowed, since drivers, psql and BI tools cannot work without it; relations that
//! hold column values, row counts, other people's statements or the server's secrets are not.

/// Relations of `pg_catalog` that describe structure.
const STRUCTURE: &[&str] = &[
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_database",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_table",
    "pg_group",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_largeobject_metadata",
    "pg_matviews",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_rewrite",
    "pg_roles",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_sequence",
    "pg_settings",
    "pg_shdepend",
    // Whether a connection is encrypted, without what it does; other users' are blank.
    "pg_stat_gssapi",
    "pg_stat_ssl",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_subscription",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user",
    "pg_views",
    "pg_foreign_server",
    "pg_user_mapping",
];

/// True for a system relation that a restricted role may read; `None` when the schema is no system schema.
pub(crate) fn system_relation_allowed(schema: &str, name: &str) -> Option<bool> {
    match schema {
        "pg_catalog" => Some(STRUCTURE.contains(&name)),
        "information_schema" => Some(name != "user_mapping_options" && name != "foreign_server_options"),
        s if s.starts_with("pg_toast") => Some(false),
        _ => None,
    }
}

/// Columns of allowed system relations that hold values or secrets. (`pg_class.reltuples` is a
/// count over all patients that JDBC's own metadata queries read; it stays readable.)
pub(crate) const CLOSED_COLUMNS: &[&str] = &["attmissingval", "srvoptions", "subconninfo", "umoptions"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b74_b75_b79_relations_with_values_are_closed() {
        for name in [
            "pg_stats",
            "pg_stats_ext",
            "pg_stats_ext_exprs",
            "pg_statistic",
            "pg_statistic_ext_data",
            "pg_stat_activity",
            "pg_stat_user_tables",
            "pg_statio_all_tables",
            "pg_stat_statements",
            "pg_locks",
            "pg_prepared_statements",
            "pg_cursors",
            "pg_largeobject",
            "pg_authid",
            "pg_shadow",
            "pg_file_settings",
            "pg_hba_file_rules",
            "pg_user_mappings",
            "pg_replication_slots",
            "pg_db_role_setting",
            "pg_backend_memory_contexts",
            "pg_shmem_allocations",
            "a_new_one",
        ] {
            assert_eq!(system_relation_allowed("pg_catalog", name), Some(false), "{name}");
        }
        assert_eq!(system_relation_allowed("pg_toast", "pg_toast_1"), Some(false));
        assert_eq!(system_relation_allowed("pg_catalog", "pg_class"), Some(true));
        assert_eq!(system_relation_allowed("information_schema", "columns"), Some(true));
        assert_eq!(system_relation_allowed("public", "pg_stats"), None);
    }
}
