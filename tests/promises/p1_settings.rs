//! P1: what a restricted user may set, directly and through the proxy, may be set by SET and given at login alike.

use std::time::Duration;

use crate::common::Postgres;
use crate::support::proxy;
use crate::wire::Wire;

/// Settings that change nothing but how the server does its work, and those of the session's own output.
const OPEN: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("array_nulls", "off"),
    ("xmloption", "document"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_memoize", "off"),
    ("enable_async_append", "off"),
    ("random_page_cost", "1.1"),
    ("join_collapse_limit", "1"),
    ("max_parallel_workers_per_gather", "0"),
    ("max_parallel_workers", "2"),
    ("min_parallel_table_scan_size", "0"),
    ("min_parallel_index_scan_size", "0"),
    ("parallel_leader_participation", "off"),
    ("effective_io_concurrency", "0"),
    ("jit_above_cost", "0"),
    ("jit_inline_above_cost", "0"),
    ("jit_optimize_above_cost", "0"),
    ("geqo_threshold", "2"),
    ("geqo_effort", "1"),
    ("geqo_seed", "0.5"),
    ("gin_pending_list_limit", "64"),
    ("default_statistics_target", "10"),
    ("vacuum_cost_delay", "1"),
    ("vacuum_cost_page_hit", "2"),
    ("temp_tablespaces", "pg_default"),
    ("synchronous_commit", "off"),
    ("row_security", "on"),
    ("default_tablespace", ""),
    ("tcp_keepalives_idle", "60"),
    ("escape_string_warning", "off"),
    ("client_min_messages", "warning"),
    ("app.tenant", "7"),
];

/// What would show or mean something else.
const CLOSED: &[(&str, &str)] = &[
    ("row_security", "off"),
    ("client_min_messages", "log"),
    ("client_min_messages", "debug1"),
    ("debug_print_plan", "on"),
    ("backslash_quote", "on"),
    ("transform_null_equals", "on"),
    ("timezone_abbreviations", "India"),
    ("trace_notify", "on"),
    ("role", "dba"),
    ("glass.user", "x"),
];

#[test]
fn what_may_be_set_may_be_given_at_login() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let time = Duration::from_secs(60);
    let option = |name: &str, value: &str| format!("-c {name}={}", value.replace(' ', "\\ "));
    let mut wrong = Vec::new();
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    for (settings, open) in [(OPEN, true), (CLOSED, false)] {
        for (name, value) in settings {
            let set = amy.query(&format!("SET {name} = '{value}'"));
            if set.failure().is_none() != open {
                wrong.push(format!("SET {name} = {value}: {:?}", set.failure()));
            }
            for more in [("options", option(name, value)), (*name, (*value).to_owned())] {
                let more = [(more.0, more.1.as_str())];
                match Wire::try_login_with(proxy.port(), database.name(), "nurse_amy", time, &more) {
                    Ok(mut wire) if open => {
                        if wire.ok(&format!("SHOW {name}")).value() != amy.ok(&format!("SHOW {name}")).value()
                        {
                            wrong.push(format!("{more:?} is not what SET makes of it"));
                        }
                    }
                    Ok(_) => wrong.push(format!("{more:?} is taken")),
                    Err(heard) if open => wrong.push(format!("{more:?}: {heard:?}")),
                    Err(_) => {}
                }
            }
        }
    }
    amy.ok("SET SEED TO 0.5");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `ts_rewrite` of three queries computes; that of two runs the second as SQL.
#[test]
fn a_query_is_rewritten_by_queries_and_not_by_sql() {
    let database = Postgres::shared().demo();
    let proxy = proxy(&database);
    let mut direct = Wire::direct(&database, "nurse_amy");
    let mut amy = Wire::through(&proxy, &database, "nurse_amy");
    let text = "SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)";
    assert_eq!(amy.ok(text).rows(), direct.ok(text).rows());
    let rows = "SELECT count(*) FROM clinic.note WHERE to_tsvector('simple', body) @@ pg_catalog.ts_rewrite('a'::tsquery, to_tsquery('simple', kind), 'b'::tsquery)";
    assert_eq!(amy.query(rows).failure(), None);
    for sql in [
        "SELECT ts_rewrite('a'::tsquery, 'SELECT body::tsquery, body::tsquery FROM clinic.note')",
        "SELECT ts_rewrite('a'::tsquery, VARIADIC 'SELECT body::tsquery, body::tsquery FROM clinic.note')",
        "SELECT ts_rewrite(query => 'a'::tsquery, \"sql\" => 'SELECT body::tsquery, body::tsquery FROM clinic.note', x => 1)",
    ] {
        assert_eq!(amy.query(sql).refusal().gls().as_deref(), Some("GLS-240"), "{sql}");
    }
}
