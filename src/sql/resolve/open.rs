//! Decisions for unrestricted roles: everything runs; what cannot be attributed to patients is
//! told apart from what can.

use super::own_code::is_harmless_overload;
use super::survey::{Occurrence, Resolution, Usage, survey};
use super::{Context, Decision, ProtectedOccurrence, SessionObject, Survey, has_protected_child, ruled};
use crate::catalog::{QualifiedName, RelationKind};
use crate::policy::Access;
use crate::sql::StatementKind;
use crate::sql::functions::builtin_allowed;
use crate::sql::parse::kind_of;
use crate::sql::tree::Node;

/// Built-in functions that read rows which the statement does not name.
const OPAQUE_PREFIXES: [&str; 12] = [
    "query_to_xml",
    "table_to_xml",
    "schema_to_xml",
    "database_to_xml",
    "cursor_to_xml",
    "ts_stat",
    "ts_rewrite",
    "lo_",
    "loread",
    "pg_read_",
    "pg_logical_slot",
    "currtid",
];

pub(super) fn decide(root: &Node, context: &Context<'_>) -> Decision {
    let survey = survey(root, context.catalog, context.namespace);
    let (occurrences, relations) = protected(&survey.occurrences, context);
    let decision = known(root, &survey, occurrences, relations, context);
    // DDL names what does not exist yet.
    let reads = matches!(
        root.kind,
        "SelectStmt"
            | "InsertStmt"
            | "UpdateStmt"
            | "DeleteStmt"
            | "MergeStmt"
            | "CopyStmt"
            | "DeclareCursorStmt"
            | "PrepareStmt"
            | "CreateTableAsStmt"
            | "ExplainStmt"
    );
    match survey.occurrences.iter().find(|o| reads && o.resolution == Resolution::Unknown) {
        // It exists, or the server refuses it: then a function or another session has made it meanwhile, and it may
        // be a view of anything.
        Some(o) => {
            let otherwise = match decision {
                Decision::Verbatim => {
                    Decision::Unattributed { relations: Vec::new(), reason: "UNKNOWN_RELATION" }
                }
                decision => decision,
            };
            Decision::UnknownRelation { name: o.written(), otherwise: Box::new(otherwise) }
        }
        None => decision,
    }
}

fn known(
    root: &Node,
    survey: &Survey,
    occurrences: Vec<ProtectedOccurrence>,
    relations: Vec<QualifiedName>,
    context: &Context<'_>,
) -> Decision {
    let unattributed = |reason| Decision::Unattributed { relations: relations.clone(), reason };
    let if_protected = |reason| {
        if relations.is_empty() { Decision::Verbatim } else { unattributed(reason) }
    };
    let Some(kind) = kind_of(root).filter(|kind| *kind != StatementKind::Merge) else {
        return match root.kind {
            "DoStmt" => unattributed("DO"),
            "CallStmt" => unattributed("CALL"),
            "FetchStmt" | "ClosePortalStmt" => {
                Decision::Session(SessionObject::Cursor(root.str("portalname").to_owned()))
            }
            "ExecuteStmt" => Decision::Session(SessionObject::Prepared(root.str("name").to_owned())),
            "MergeStmt" => with_opaque(if_protected("MERGE"), survey, unattributed, context),
            "CopyStmt" => {
                let by_client = !root.flag("is_program") && !root.has("filename");
                if by_client && !relations.is_empty() && !opaque(survey, context) {
                    return Decision::Copy { relations };
                }
                with_opaque(if_protected("COPY"), survey, unattributed, context)
            }
            "DeclareCursorStmt" => with_opaque(if_protected("CURSOR"), survey, unattributed, context),
            "PrepareStmt" => with_opaque(if_protected("PREPARE"), survey, unattributed, context),
            "CreateTableAsStmt" => {
                with_opaque(if_protected("CREATE_TABLE_AS"), survey, unattributed, context)
            }
            // Without ANALYZE nothing is run; with it, rows are read.
            "ExplainStmt" => with_opaque(if_protected("EXPLAIN"), survey, unattributed, context),
            "RefreshMatViewStmt" => unattributed("REFRESH"),
            "TruncateStmt" if super::actions::empties_others(root) => {
                Decision::Unattributed { relations: Vec::new(), reason: "TRUNCATE_CASCADE" }
            }
            _ => if_protected("DDL"),
        };
    };
    if opaque(survey, context) {
        return unattributed(opaque_reason(survey, context));
    }
    if survey.occurrences.iter().any(|o| ruled(o, context)) {
        return unattributed("RULE");
    }
    if occurrences.is_empty() {
        return Decision::Verbatim;
    }
    if survey.into {
        return unattributed("SELECT_INTO");
    }
    if survey.on_conflict {
        return unattributed("ON_CONFLICT");
    }
    if survey.current_of {
        return unattributed("CURRENT_OF");
    }
    if !survey.unknown_kinds.is_empty() {
        return unattributed("UNKNOWN_NODE");
    }
    // Merging inside a CTE: the target's rows have no witness.
    if occurrences.iter().any(|o| o.usage == Usage::MergeTarget) {
        return unattributed("MERGE");
    }
    Decision::NeedsGuard { kind, occurrences }
}

fn with_opaque(
    decision: Decision,
    survey: &Survey,
    unattributed: impl Fn(&'static str) -> Decision,
    context: &Context<'_>,
) -> Decision {
    if decision == Decision::Verbatim && opaque(survey, context) {
        return unattributed(opaque_reason(survey, context));
    }
    decision
}

fn protected(
    occurrences: &[Occurrence],
    context: &Context<'_>,
) -> (Vec<ProtectedOccurrence>, Vec<QualifiedName>) {
    let mut found = Vec::new();
    let mut names = Vec::new();
    for o in occurrences {
        let Resolution::User(oid) = o.resolution else { continue };
        if let Access::Protected { table, .. } = context.bound.access(context.role, oid) {
            found.push(ProtectedOccurrence { oid, alias: o.alias.clone(), usage: o.usage });
            names.push(table.name.clone());
        }
    }
    names.sort();
    names.dedup();
    (found, names)
}

/// True when the statement may read protected rows through something that does not name them.
fn opaque(survey: &Survey, context: &Context<'_>) -> bool {
    opaque_function(survey, context) || opaque_relation(survey, context) || statistics(survey)
}

fn opaque_reason(survey: &Survey, context: &Context<'_>) -> &'static str {
    if opaque_function(survey, context) {
        "FUNCTION"
    } else if opaque_relation(survey, context) {
        "VIEW"
    } else {
        "STATISTICS"
    }
}

/// True when values of columns can be read from the planner's statistics.
fn statistics(survey: &Survey) -> bool {
    let holds_values =
        ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic", "pg_statistic_ext_data"];
    survey
        .occurrences
        .iter()
        .any(|o| matches!(o.resolution, Resolution::System(_)) && holds_values.contains(&o.name.as_str()))
}

fn opaque_function(survey: &Survey, context: &Context<'_>) -> bool {
    let user_defined = |schema: Option<&str>, name: &str| {
        context.catalog.functions.get(name).into_iter().flatten().any(|f| {
            f.schema != "pg_catalog"
                && schema.is_none_or(|s| s == f.schema)
                && !context.role.functions.contains(&QualifiedName::new(f.schema.as_str(), name))
                && !is_harmless_overload(f, name, context)
        })
    };
    // One that was made a moment ago, or a temporary one, is in no snapshot.
    let unknown = |schema: Option<&str>, name: &str| {
        let known = context.catalog.functions.get(name).into_iter().flatten();
        !builtin_allowed(name) && !known.into_iter().any(|f| schema.is_none_or(|s| s == f.schema))
    };
    let by_attribute = survey.attributes.iter().any(|a| !builtin_allowed(a) && user_defined(None, a));
    // Whose function is not told by the text.
    !survey.foreign_operators.is_empty()
        || by_attribute
        || survey.functions.iter().any(|(schema, name)| {
            OPAQUE_PREFIXES.iter().any(|p| name.starts_with(p))
                || user_defined(schema.as_deref(), name)
                || unknown(schema.as_deref(), name)
        })
}

fn opaque_relation(survey: &Survey, context: &Context<'_>) -> bool {
    survey.occurrences.iter().any(|o| {
        if o.resolution == Resolution::Temporary {
            return context.namespace.temp_views.contains(&o.name);
        }
        let Resolution::User(oid) = o.resolution else { return false };
        let Some(relation) = context.catalog.relation(oid) else { return false };
        if context.bound.broken.contains(&oid)
            || context.bound.denied.get(&oid).is_some_and(|n| context.role.denied.contains(n))
        {
            // Its entry does not fit it (a column renamed): whose rows these are cannot be told.
            return true;
        }
        match relation.kind {
            RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::ForeignTable
            | RelationKind::Other => {
                !context.bound.tables.contains_key(&oid) && !context.bound.reference.contains(&oid)
            }
            RelationKind::Table | RelationKind::PartitionedTable => {
                !context.bound.tables.contains_key(&oid) && has_protected_child(oid, context)
            }
            RelationKind::Sequence
            | RelationKind::Index
            | RelationKind::CompositeType
            | RelationKind::Toast => false,
        }
    })
}
