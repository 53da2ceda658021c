//! Decisions for restricted roles: queries and row changes. Utility statements are in `utility`.

use super::access::assignment_refusal;
use super::access::operator_refusal;
use super::survey::{Occurrence, Resolution, Usage, survey};
use super::{
    Context, Decision, ProtectedOccurrence, Survey, function_refusal, has_protected_child, not_mapped, ruled,
    utility,
};
use crate::catalog::RelationKind;
use crate::policy::{Access, Denial, Refusal};
use crate::sql::functions::CLOSED_COLUMNS;
use crate::sql::parse::kind_of;
use crate::sql::tree::Node;
use crate::sql::{StatementKind, cannot_guard};

/// System columns of every table (manual, 5.6 "System Columns").
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

pub(super) fn decide(root: &Node, context: &Context<'_>) -> Decision {
    match root.kind {
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
            query(root, kind_of(root), context)
        }
        _ => utility::decide(root, context),
    }
}

/// Decides about a query tree. `kind` is `None` for a statement that cannot carry a guard.
pub(super) fn query(root: &Node, kind: Option<StatementKind>, context: &Context<'_>) -> Decision {
    let survey = survey(root, context.catalog, context.namespace);
    if let Some(refusal) = mentions(&survey, context) {
        return Decision::Refused(refusal);
    }
    if let Some(target) = survey.occurrences.iter().find(|o| ruled(o, context)) {
        let what =
            format_args!("{} has rules, which make other statements of it", target.written()).to_string();
        return Decision::Refused(cannot_guard(what, "an administrator can replace the rules by triggers"));
    }
    let (protected, unknown) = match relations(&survey.occurrences, context) {
        Ok(found) => found,
        Err(refusal) => return Decision::Refused(*refusal),
    };
    let decision = if protected.is_empty() {
        if survey.into && !into_temporary(root, context) {
            return Decision::Refused(cannot_guard(
                "SELECT INTO makes a table that no rule covers",
                "use SELECT ... INTO TEMP, with a name of its own",
            ));
        }
        Decision::Verbatim
    } else {
        match guarded(&survey, &protected, kind, context) {
            Ok(kind) => Decision::NeedsGuard { kind, occurrences: protected },
            Err(refusal) => Decision::Refused(*refusal),
        }
    };
    match unknown {
        None => decision,
        Some(name) => {
            let refusal = super::utility::missing("relation", &name);
            Decision::UnknownRelation { name, otherwise: Box::new(Decision::Refused(refusal)) }
        }
    }
}

/// Refuses node kinds, functions, operators and columns that the role may not use.
pub(crate) fn mentions(survey: &Survey, context: &Context<'_>) -> Option<Refusal> {
    if let Some(kind) = survey.unknown_kinds.first() {
        return Some(cannot_guard(format_args!("it contains {kind}, which is not known to be harmless"), ""));
    }
    if survey.foreign_sampling {
        return Some(cannot_guard(
            "TABLESAMPLE with a method that is not built in",
            "use SYSTEM or BERNOULLI",
        ));
    }
    if let Some(op) = survey.foreign_operators.first() {
        return Some(operator_refusal(op));
    }
    if let Some(column) = CLOSED_COLUMNS.iter().find(|c| survey.columns.contains(**c)) {
        return Some(not_mapped(column, None, context));
    }
    function_refusal(survey, context)
}

/// The protected occurrences, and the first name that the snapshot does not know.
type Found = (Vec<ProtectedOccurrence>, Option<String>);

/// Sorts relation occurrences, or refuses the first closed one.
pub(super) fn relations(occurrences: &[Occurrence], context: &Context<'_>) -> Result<Found, Box<Refusal>> {
    let mut protected = Vec::new();
    let mut unknown = None;
    for occurrence in occurrences {
        match occurrence.resolution {
            // A restricted role makes none; one that was unrestricted, or only watched, may have left one behind.
            Resolution::Temporary if context.namespace.temp_views.contains(&occurrence.name) => {
                return Err(Box::new(cannot_guard(
                    format_args!(
                        "temporary relation {} was made before this role had limits; what it reads is not known",
                        occurrence.written()
                    ),
                    "connect again and make it anew, or use the query itself",
                )));
            }
            Resolution::Temporary => {}
            Resolution::System(true) if occurrence.usage == Usage::Read => {}
            // #102: UPDATE pg_settings is SET by another name.
            Resolution::System(_) => return Err(Box::new(not_mapped(&occurrence.written(), None, context))),
            Resolution::Unknown => unknown = unknown.or_else(|| Some(occurrence.written())),
            Resolution::User(oid) => match context.bound.access(context.role, oid) {
                Access::Free if has_protected_child(oid, context) => {
                    let denial = Some(Denial::ProtectedPart);
                    return Err(Box::new(not_mapped(&occurrence.written(), denial, context)));
                }
                Access::Free => {}
                Access::Denied(_) if context.bound.assignments.contains(&oid) => {
                    return Err(Box::new(assignment_refusal(&occurrence.written(), context)));
                }
                Access::Denied(Denial::NotMapped)
                    if occurrence.usage != Usage::Read
                        && context.catalog.relation(oid).is_some_and(|r| r.kind == RelationKind::View) =>
                {
                    let mut refusal = not_mapped(&occurrence.written(), Some(Denial::NotMapped), context);
                    refusal.message = format!("rows cannot be written through view {}", occurrence.written());
                    return Err(Box::new(refusal.with_hint(
                        "write to the table behind it; an administrator can give the view a [[table]] entry of its own",
                    )));
                }
                Access::Denied(denial) => {
                    return Err(Box::new(not_mapped(&occurrence.written(), Some(denial), context)));
                }
                Access::Protected { .. } => protected.push(ProtectedOccurrence {
                    oid,
                    alias: occurrence.alias.clone(),
                    usage: occurrence.usage,
                }),
            },
        }
    }
    Ok((protected, unknown))
}

/// What a statement with protected relations may not do.
pub(crate) fn guarded(
    survey: &Survey,
    protected: &[ProtectedOccurrence],
    kind: Option<StatementKind>,
    context: &Context<'_>,
) -> Result<StatementKind, Box<Refusal>> {
    let refuse = |what: &str, instead: &str| Err(Box::new(cannot_guard(what, instead)));
    let merges = survey.occurrences.iter().any(|o| o.usage == Usage::MergeTarget);
    let Some(kind) = kind.filter(|kind| !merges || *kind == StatementKind::Merge) else {
        return refuse("MERGE in a WITH query, with a protected table", "write it as a statement of its own");
    };
    if survey.into {
        return refuse(
            "SELECT INTO copies protected rows to a table that no rule covers",
            "use a common table expression (WITH) or a subquery instead of an intermediate table",
        );
    }
    if survey.current_of {
        return refuse("WHERE CURRENT OF with a protected table", "name the row by its primary key");
    }
    let copies = survey.occurrences.iter().find(|o| {
        matches!(o.usage, Usage::InsertTarget | Usage::UpdateTarget | Usage::MergeTarget)
            && !matches!(o.resolution, Resolution::User(oid) if protected.iter().any(|p| p.oid == oid))
    });
    if let Some(target) = copies {
        return refuse(
            &format!("it copies protected rows to {}, which no rule covers", target.written()),
            "read the rows with SELECT, or write to a table that is mapped to patients",
        );
    }
    let real = |column: &str| {
        protected.iter().any(|p| context.catalog.relation(p.oid).is_some_and(|r| r.column(column).is_some()))
    };
    match SYSTEM_COLUMNS.iter().find(|c| survey.columns.contains(**c) && !real(c)) {
        Some(column) => refuse(
            &format!("system column {column} tells where hidden rows are"),
            "name rows by their primary key",
        ),
        None => Ok(kind),
    }
}

/// True when SELECT INTO makes a temporary table under a name that hides no mapped relation.
fn into_temporary(root: &Node, context: &Context<'_>) -> bool {
    // Only the leftmost arm of a set operation may have INTO.
    let mut at = root;
    while let Some(left) = at.node("larg") {
        at = left;
    }
    at.node("into_clause")
        .and_then(|i| i.node("rel"))
        .is_some_and(|rel| utility::temporary_name(rel, context))
}
