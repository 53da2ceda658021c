//! Writes to tables without patients that change rows of protected ones by foreign keys with an action. (Writes to
//! protected tables have a condition against it.)

use std::collections::BTreeSet;

use pg_query::protobuf::{CmdType, DropBehavior};

use super::{Context, Resolution, resolve_name};
use crate::catalog::{Oid, QualifiedName};
use crate::policy::{Access, Change, Refusal, chains};
use crate::sql::cannot_guard;
use crate::sql::tree::Node;

/// True for TRUNCATE ... CASCADE, which empties every table that refers to one it names, through any foreign key.
pub(super) fn empties_others(root: &Node) -> bool {
    let cascades = i32::try_from(root.int("behavior")) == Ok(DropBehavior::DropCascade as i32);
    root.kind == "TruncateStmt" && cascades
}

/// Why a restricted role may not run `root`, if it may not.
pub(crate) fn refusal(root: &Node, context: &Context<'_>) -> Option<Refusal> {
    let refused = |what: String| {
        cannot_guard(
            what,
            "A role that sees every patient can do it; or change the rows that refer to it first.",
        )
    };
    if context.role.is_filtered()
        && let Some(name) = link_written(root, context)
    {
        return Some(cannot_guard(
            format!("a column of {name} that decides whose rows of other tables are"),
            "A role that sees every patient can write it.",
        ));
    }
    for (oid, change) in changes(root, context) {
        let name = context.catalog.relation(oid).map(|r| r.name.to_string()).unwrap_or_default();
        match chains(context.bound, context.role, context.catalog, oid, &change) {
            Ok(found) => {
                if let Some(chain) = found.iter().find(|chain| chain.hides()) {
                    return Some(refused(format!(
                        "rows of patients in {} refer to {name} by a foreign key with an action and are changed with it",
                        chain.end().name
                    )));
                }
            }
            Err(what) => {
                return Some(refused(format!("rows that refer to {name} are changed with it, and {what}")));
            }
        }
    }
    None
}

/// A relation without patients of its own that a statement writes, at any level, and that says whose rows of others are.
fn link_written(node: &Node, context: &Context<'_>) -> Option<String> {
    let writes = match node.kind {
        "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => true,
        "CopyStmt" => node.flag("is_from"),
        "TruncateStmt" => true,
        _ => false,
    };
    let targets = node.node("relation").into_iter().chain(node.nodes("relations"));
    for range in targets.filter(|_| writes && !context.bound.links.is_empty()) {
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        for resolution in resolve_name(context.catalog, context.namespace, schema, range.str("relname")) {
            let Resolution::User(oid) = resolution else { continue };
            // What is closed to the role is refused as such.
            let open = context.bound.access(context.role, oid) == Access::Free;
            let links = context.bound.links.get(&oid).filter(|_| open);
            let named = |column: &String| node.nodes("target_list").any(|t| t.str("name") == column);
            let written = match node.kind {
                "UpdateStmt" => links.is_some_and(|l| l.iter().any(named)),
                _ => links.is_some_and(|l| !l.is_empty()),
            };
            if written {
                return context.catalog.relation(oid).map(|r| r.name.to_string());
            }
        }
    }
    node.children().into_iter().find_map(|child| link_written(child, context))
}

/// The protected relations whose rows are changed so; what cannot be followed is every one that has such a key.
pub(super) fn reached(root: &Node, context: &Context<'_>) -> BTreeSet<QualifiedName> {
    let tables = &context.bound.tables;
    let mut names = BTreeSet::new();
    for (oid, change) in changes(root, context) {
        match chains(context.bound, context.role, context.catalog, oid, &change) {
            Ok(found) => names.extend(found.iter().map(|chain| chain.end().rule.name.clone())),
            Err(_) => {
                let all = context.catalog.foreign_keys.iter().filter_map(|key| tables.get(&key.from));
                names.extend(all.map(|table| table.rule.name.clone()));
            }
        }
    }
    names
}

/// Changes of relations that no rule covers, at every level of a statement.
fn changes(root: &Node, context: &Context<'_>) -> Vec<(Oid, Change)> {
    let mut found = Vec::new();
    if !context.catalog.foreign_keys.is_empty() {
        changes_in(root, context, &mut found);
    }
    found
}

fn changes_in(node: &Node, context: &Context<'_>, found: &mut Vec<(Oid, Change)>) {
    let update =
        |of: &Node| Change::Update(of.nodes("target_list").map(|t| t.str("name").to_owned()).collect());
    let all = match node.kind {
        "DeleteStmt" => vec![Change::Delete],
        "UpdateStmt" => vec![update(node)],
        "InsertStmt" => node.node("on_conflict_clause").into_iter().map(update).collect(),
        "MergeStmt" => node
            .nodes("merge_when_clauses")
            .filter_map(|clause| {
                let command =
                    i32::try_from(clause.int("command_type")).ok().and_then(|c| CmdType::try_from(c).ok());
                match command {
                    Some(CmdType::CmdDelete) => Some(Change::Delete),
                    Some(CmdType::CmdUpdate) => Some(update(clause)),
                    _ => None,
                }
            })
            .collect(),
        _ => Vec::new(),
    };
    if let Some(range) = node.node("relation").filter(|_| !all.is_empty()) {
        let schema = Some(range.str("schemaname")).filter(|s| !s.is_empty());
        for resolution in resolve_name(context.catalog, context.namespace, schema, range.str("relname")) {
            if let Resolution::User(oid) = resolution
                && context.bound.access(context.role, oid) == Access::Free
            {
                found.extend(all.iter().map(|change| (oid, change.clone())));
            }
        }
    }
    node.children().into_iter().for_each(|child| changes_in(child, context, found));
}
