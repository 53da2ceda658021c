//! Decisions for restricted roles: statements other than queries and row changes. What is not
//! named here is refused.

use super::restricted::{mentions, query, relations};
use super::survey::{Occurrence, Resolution, Usage, resolve_name, survey};
use super::{Context, Decision, SessionObject};
use crate::policy::{Access, GlsCode, Refusal};
use crate::sql::StatementKind;
use crate::sql::cannot_guard;
use crate::sql::functions::{Setting, setting, setting_allowed};
use crate::sql::tree::{Node, Tree};
use pg_query::protobuf::{ObjectType, TransactionStmtKind, VariableSetKind};

pub(super) fn decide(root: &Node, context: &Context<'_>) -> Decision {
    match root.kind {
        "TransactionStmt" => transaction(root),
        "VariableSetStmt" => set(root),
        "VariableShowStmt" | "DiscardStmt" | "DeallocateStmt" | "ListenStmt" | "UnlistenStmt"
        | "NotifyStmt" | "ConstraintsSetStmt" => Decision::Verbatim,
        "FetchStmt" | "ClosePortalStmt" => {
            Decision::Session(SessionObject::Cursor(root.str("portalname").to_owned()))
        }
        "ExecuteStmt" => match mentions(&survey_parameters(root, context), context) {
            Some(refusal) => Decision::Refused(refusal),
            None => Decision::Session(SessionObject::Prepared(root.str("name").to_owned())),
        },
        "PrepareStmt" => inner(
            root,
            context,
            "PREPARE of a statement that reads protected tables",
            "prepare it through the driver (extended protocol), or send it as it is",
        ),
        "DeclareCursorStmt" => inner(
            root,
            context,
            "a cursor over protected tables",
            "use the driver's fetch size (a portal), or LIMIT with a condition on the last key",
        ),
        "ExplainStmt" => inner(
            root,
            context,
            "EXPLAIN of protected tables shows counts of hidden rows",
            "roles that see all patients may run it",
        ),
        "CopyStmt" => copy(root, context),
        "CreateTableAsStmt" => create_table_as(root, context),
        "CreateStmt" => create_table(root, context),
        "IndexStmt" | "TruncateStmt" | "LockStmt" | "VacuumStmt" => own_relations(root, context),
        "DropStmt" => drop(root, context),
        _ => refused(
            &format!("{} is not open to role {}", words(root.kind), context.role.name),
            "it needs a role that sees all patients and has no masks",
        ),
    }
}

/// `CreateFunctionStmt` as people write it.
fn words(kind: &str) -> String {
    let mut out = String::new();
    for c in kind.trim_end_matches("Stmt").chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

fn refused(what: &str, instead: &str) -> Decision {
    Decision::Refused(cannot_guard(what, instead))
}

fn transaction(root: &Node) -> Decision {
    use TransactionStmtKind as K;
    let kind = i32::try_from(root.int("kind")).ok().and_then(|k| K::try_from(k).ok());
    match kind {
        Some(
            K::TransStmtBegin
            | K::TransStmtStart
            | K::TransStmtCommit
            | K::TransStmtRollback
            | K::TransStmtSavepoint
            | K::TransStmtRelease
            | K::TransStmtRollbackTo,
        ) => Decision::Verbatim,
        Some(
            K::TransStmtPrepare | K::TransStmtCommitPrepared | K::TransStmtRollbackPrepared | K::Undefined,
        )
        | None => refused("two-phase commit outlives the session", "use COMMIT"),
    }
}

fn set(root: &Node) -> Decision {
    use VariableSetKind as K;
    let name = root.str("name");
    let denied = |hint: &str| {
        Decision::Refused(
            Refusal::new(GlsCode::CannotGuard, format!("setting {name} may not be changed by this role"))
                .with_hint(hint),
        )
    };
    match i32::try_from(root.int("kind")).ok().and_then(|k| K::try_from(k).ok()) {
        // Back to what the server's administrator configured.
        Some(K::VarReset | K::VarResetAll | K::VarSetDefault) => Decision::Verbatim,
        Some(K::VarSetMulti) => match name {
            "TRANSACTION" | "SESSION CHARACTERISTICS" => Decision::Verbatim,
            _ => denied("snapshots of other sessions are not open"),
        },
        Some(K::VarSetValue) => match setting(name) {
            Setting::Free => Decision::Verbatim,
            Setting::OneOf(values) => {
                let wanted = root.list("args");
                let ok = |t: &Tree| constant(t).is_some_and(|v| setting_allowed(name, &v));
                if wanted.len() == 1 && wanted.iter().all(ok) {
                    Decision::Verbatim
                } else {
                    denied(&format!("allowed values: {}", values.join(", ")))
                }
            }
            Setting::Denied => denied("leave it as the server has it, or ask an administrator"),
        },
        Some(K::VarSetCurrent | K::Undefined) | None => denied(""),
    }
}

/// The text of a constant argument of SET.
fn constant(value: &Tree) -> Option<String> {
    let node = value.as_node().filter(|n| n.kind == "AConst")?;
    let val = node.node("val")?;
    match val.kind {
        "String" => Some(val.str("sval").to_owned()),
        "Integer" => Some(val.int("ival").to_string()),
        _ => None,
    }
}

fn survey_parameters(root: &Node, context: &Context<'_>) -> super::Survey {
    let mut all = survey(root, context.catalog, context.namespace);
    all.unknown_kinds.remove("ExecuteStmt");
    all
}

/// A statement around a query, allowed when the query touches nothing protected.
fn inner(root: &Node, context: &Context<'_>, what: &str, instead: &str) -> Decision {
    let Some(query_node) = root.node("query") else { return refused(what, instead) };
    let decision = match query_node.kind {
        "CreateTableAsStmt" | "DeclareCursorStmt" | "ExecuteStmt" => {
            super::utility::decide(query_node, context)
        }
        _ => super::restricted::decide(query_node, context),
    };
    only_verbatim(decision, what, instead)
}

fn only_verbatim(decision: Decision, what: &str, instead: &str) -> Decision {
    match decision {
        Decision::NeedsGuard { .. } | Decision::Copy { .. } | Decision::Unattributed { .. } => {
            refused(what, instead)
        }
        Decision::UnknownRelation { name, otherwise } => {
            Decision::UnknownRelation { name, otherwise: Box::new(only_verbatim(*otherwise, what, instead)) }
        }
        Decision::Verbatim | Decision::Session(_) | Decision::Refused(_) => decision,
    }
}

fn copy(root: &Node, context: &Context<'_>) -> Decision {
    if root.flag("is_program") || root.has("filename") {
        return refused("COPY with a file or program of the server", "use COPY ... TO STDOUT or FROM STDIN");
    }
    if let Some(inside) = root.node("query") {
        return match super::restricted::decide(inside, context) {
            Decision::NeedsGuard { .. } => Decision::Copy { relations: Vec::new() },
            other => other,
        };
    }
    if let Some(condition) = root.node("where_clause")
        && let Some(refusal) = mentions(&survey(condition, context.catalog, context.namespace), context)
    {
        return Decision::Refused(refusal);
    }
    let Some(relation) = root.node("relation") else { return refused("COPY without a table", "") };
    let usage = if root.flag("is_from") { Usage::InsertTarget } else { Usage::Read };
    named(&[relation], usage, context, || Decision::Copy { relations: Vec::new() })
}

/// Decides about relations named directly: free and temporary ones may be used.
fn named(
    ranges: &[&Node],
    usage: Usage,
    context: &Context<'_>,
    protected_decision: impl FnOnce() -> Decision,
) -> Decision {
    let mut occurrences = Vec::new();
    for range in ranges {
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        for resolution in resolve_name(context.catalog, context.namespace, schema, range.str("relname")) {
            occurrences.push(Occurrence {
                schema: schema.map(str::to_owned),
                name: range.str("relname").to_owned(),
                alias: range.str("relname").to_owned(),
                resolution,
                usage,
            });
        }
    }
    match relations(&occurrences, context) {
        Err(refusal) => Decision::Refused(*refusal),
        Ok((protected, _)) if !protected.is_empty() => protected_decision(),
        Ok((_, Some(name))) => Decision::UnknownRelation { otherwise: Box::new(unknown(&name)), name },
        Ok((_, None)) => Decision::Verbatim,
    }
}

fn unknown(name: &str) -> Decision {
    Decision::Refused(missing("relation", name))
}

/// What PostgreSQL says of a relation that does not exist.
pub(super) fn missing(kind: &str, name: &str) -> Refusal {
    Refusal {
        sqlstate: "42P01",
        ..Refusal::new(GlsCode::CannotGuard, format!("{kind} \"{name}\" does not exist"))
    }
}

fn create_table_as(root: &Node, context: &Context<'_>) -> Decision {
    let what = "CREATE TABLE AS copies protected rows to a table that no rule covers";
    let instead = "use a common table expression (WITH) or a subquery instead of an intermediate table";
    let temporary = root.node("into").and_then(|i| i.node("rel")).is_some_and(|r| temporary_name(r, context));
    let table = root.int("objtype") == i64::from(ObjectType::ObjectTable as i32);
    let Some(query_node) = root.node("query").filter(|_| temporary && table) else {
        return refused(
            "only temporary tables can be created here, under names that no mapped table has",
            "use CREATE TEMP TABLE ... AS",
        );
    };
    if query_node.kind != "SelectStmt" {
        return refused("CREATE TABLE AS EXECUTE", "use CREATE TEMP TABLE ... AS SELECT");
    }
    only_verbatim(query(query_node, Some(StatementKind::Select), context), what, instead)
}

/// True when `range` makes a temporary relation whose name hides no relation the policy names.
pub(super) fn temporary_name(range: &Node, context: &Context<'_>) -> bool {
    let schema = range.str("schemaname");
    let temporary = (range.str("relpersistence") == "t" && schema.is_empty()) || schema == "pg_temp";
    let name = range.str("relname");
    let bound = context.bound;
    let taken = bound.tables.values().any(|t| {
        t.name.name == name || t.rule.name.name == name || t.rule.steps().any(|s| s.table.name == name)
    }) || bound.policy.all_sources().any(|s| s.relations().iter().any(|r| r.name == name))
        || bound.policy.deny.iter().any(|r| r.name == name)
        || bound.policy.reference.iter().any(|r| r.name == name)
        || bound
            .broken
            .iter()
            .chain(&bound.reference)
            .any(|oid| context.catalog.relation(*oid).is_some_and(|r| r.name.name == name));
    temporary && !taken && !name.starts_with("pg_")
}

fn create_table(root: &Node, context: &Context<'_>) -> Decision {
    let plain = root
        .list("table_elts")
        .iter()
        .all(|e| e.as_node().is_some_and(|n| matches!(n.kind, "ColumnDef" | "Constraint")))
        && !["inh_relations", "partbound", "partspec", "of_typename", "tablespacename", "access_method"]
            .iter()
            .any(|f| root.has(f));
    if !plain || !root.node("relation").is_some_and(|r| temporary_name(r, context)) {
        return refused(
            "only temporary tables with explicit columns can be created here, under names that no mapped table has",
            "use CREATE TEMP TABLE name (column type, ...)",
        );
    }
    let mut all = survey(root, context.catalog, context.namespace);
    for kind in ["CreateStmt", "ColumnDef", "Constraint", "DefElem"] {
        all.unknown_kinds.remove(kind);
    }
    // Foreign keys of temporary tables can only point to temporary tables.
    all.occurrences.clear();
    mentions(&all, context).map_or(Decision::Verbatim, Decision::Refused)
}

/// CREATE INDEX, TRUNCATE, LOCK, VACUUM and ANALYZE of relations that hold nothing of patients.
fn own_relations(root: &Node, context: &Context<'_>) -> Decision {
    if super::actions::empties_others(root) {
        return refused(
            "TRUNCATE ... CASCADE empties every table that refers to one of these",
            "name the tables, without CASCADE",
        );
    }
    let mut all = survey(root, context.catalog, context.namespace);
    for kind in
        ["IndexStmt", "TruncateStmt", "LockStmt", "VacuumStmt", "VacuumRelation", "IndexElem", "DefElem"]
    {
        all.unknown_kinds.remove(kind);
    }
    if let Some(refusal) = mentions(&all, context) {
        return Decision::Refused(refusal);
    }
    let mut ranges: Vec<&Node> = root.nodes("relations").collect();
    ranges.extend(root.node("relation"));
    ranges.extend(root.nodes("rels").filter_map(|r| r.node("relation")));
    if ranges.is_empty() {
        return refused("it is about the whole database", "name the tables");
    }
    // ACCESS SHARE (1) is the lock that every query takes.
    let as_a_query_does = root.kind == "LockStmt" && root.int("mode") == 1;
    named(&ranges, Usage::Other, context, || {
        if as_a_query_does {
            Decision::Verbatim
        } else {
            refused(
                "it changes or locks a protected table",
                "lock it IN ACCESS SHARE MODE, as a query does, or use a role that sees all patients and has no masks",
            )
        }
    })
}

fn drop(root: &Node, context: &Context<'_>) -> Decision {
    let kind = i32::try_from(root.int("remove_type")).ok().and_then(|k| ObjectType::try_from(k).ok());
    let relations_only = matches!(
        kind,
        Some(
            ObjectType::ObjectTable
                | ObjectType::ObjectView
                | ObjectType::ObjectSequence
                | ObjectType::ObjectIndex
        )
    );
    let own = root.list("objects").iter().all(|o| {
        let Tree::Node(list) = o else { return false };
        match list.names("items").as_slice() {
            [name] => droppable(None, name, root, context),
            [schema, name] => droppable(Some(schema), name, root, context),
            _ => false,
        }
    });
    if relations_only && own {
        return Decision::Verbatim;
    }
    let called = match kind {
        Some(ObjectType::ObjectTable) => Some("table"),
        Some(ObjectType::ObjectView) => Some("view"),
        Some(ObjectType::ObjectSequence) => Some("sequence"),
        // Those of tables that are not open are not told from those that do not exist.
        _ => None,
    };
    if let Some(called) = called
        && let Some(name) = nowhere(root, context)
    {
        let otherwise = Box::new(Decision::Refused(missing(called, &name)));
        return Decision::UnknownRelation { name, otherwise };
    }
    refused(
        "only temporary tables and tables without patient data can be dropped here",
        "drop it in a role that sees all patients and has no masks",
    )
}

/// The relation that does not exist, where it is all that stands in the way of a DROP.
fn nowhere(root: &Node, context: &Context<'_>) -> Option<String> {
    let mut found = None;
    for object in root.list("objects") {
        let Tree::Node(list) = object else { return None };
        let (schema, name) = match list.names("items").as_slice() {
            [name] => (None, (*name).to_owned()),
            [schema, name] => (Some((*schema).to_owned()), (*name).to_owned()),
            _ => return None,
        };
        let schema = schema.as_deref();
        if droppable(schema, &name, root, context) {
            continue;
        }
        let meant = resolve_name(context.catalog, context.namespace, schema, &name);
        if !meant.iter().all(|r| *r == Resolution::Unknown) {
            return None;
        }
        found.get_or_insert(name);
    }
    found
}

fn droppable(schema: Option<&str>, name: &str, root: &Node, context: &Context<'_>) -> bool {
    resolve_name(context.catalog, context.namespace, schema, name).into_iter().all(|r| match r {
        Resolution::Temporary => true,
        Resolution::System(_) => false,
        Resolution::Unknown => root.flag("missing_ok"),
        Resolution::User(oid) => context.bound.access(context.role, oid) == Access::Free,
    })
}
