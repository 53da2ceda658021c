//! From a parsed statement to a decision: what it touches, and whether the role may run it as it
//! is, with guards, recorded as unattributed, or not at all.
//!
//! Trusted, like `check`: it reads libpg_query's tree only. It does not rewrite anything.

mod access;
mod actions;
mod attributes;
mod kinds;
mod open;
mod own_code;
mod restricted;
mod survey;
#[cfg(test)]
mod tests;
mod utility;

pub use survey::{Occurrence, Resolution, Survey, Usage, survey};

use access::{function_refusal, not_mapped};
pub(crate) use access::{has_protected_child, ruled};
pub(crate) use actions::refusal as actions_refusal;
pub use own_code::refused as refused_own_code;
pub(crate) use own_code::{parameter_refusal, refusal as own_code_refusal};
pub(crate) use restricted::{guarded as check_guarded, mentions as check_mentions};
pub(crate) use survey::{resolve_name, survey_of_part};

use crate::catalog::{Catalog, Namespace, Oid, QualifiedName};
use crate::policy::{BoundPolicy, Refusal, Role};
use crate::sql::StatementKind;
use crate::sql::parse::Statement;

/// What a decision depends on besides the statement.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The principal's role.
    pub role: &'a Role,
    /// The policy, bound to `catalog`.
    pub bound: &'a BoundPolicy,
    /// The catalog snapshot.
    pub catalog: &'a Catalog,
    /// The session's namespace.
    pub namespace: &'a Namespace,
}

/// A name that only the session can resolve.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SessionObject {
    /// A cursor (`FETCH`, `MOVE`, `CLOSE`; the empty name is `CLOSE ALL`). Portals of the extended protocol live under the same
    /// names: the session lets only a cursor through that an SQL `DECLARE` opened.
    Cursor(String),
    /// A statement prepared in SQL (`EXECUTE`). Statements of the extended protocol live under the
    /// same names, and those of guarded statements take the principal as a parameter: the session
    /// lets only a name through that an SQL `PREPARE` made, under the present policy.
    Prepared(String),
}

/// A protected relation in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedOccurrence {
    /// Its OID.
    pub oid: Oid,
    /// The name it has inside its query block.
    pub alias: String,
    /// What is done with it.
    pub usage: Usage,
}

/// What becomes of a statement before it is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The client's bytes may go through.
    Verbatim,
    /// Protected relations occur: plan, check, send the rewritten text.
    NeedsGuard {
        /// Kind of statement.
        kind: StatementKind,
        /// The protected occurrences.
        occurrences: Vec<ProtectedOccurrence>,
    },
    /// COPY between the client and protected relations: planned as the query it stands for, or checked
    /// row by row.
    Copy {
        /// The protected relations named in it.
        relations: Vec<QualifiedName>,
    },
    /// Unrestricted roles only: goes through, recorded as touching possibly every patient of
    /// these relations (unknown ones too when the list is empty).
    Unattributed {
        /// Protected relations named in it.
        relations: Vec<QualifiedName>,
        /// Why: `COPY`, `DO`, `FUNCTION` ...
        reason: &'static str,
    },
    /// Allowed if the session knows the object as its own and unguarded; see [`SessionObject`].
    Session(SessionObject),
    /// A name that the catalog snapshot does not have. Refresh the snapshot and decide once more;
    /// if the name is still unknown, `otherwise` holds.
    UnknownRelation {
        /// The name as written.
        name: String,
        /// What holds when it stays unknown.
        otherwise: Box<Decision>,
    },
    /// Not run.
    Refused(Refusal),
}

/// Decides about one statement.
pub fn decide(statement: &Statement, context: &Context<'_>) -> Decision {
    if context.role.is_restricted() {
        restricted::decide(&statement.root, context)
    } else {
        with_actions(open::decide(&statement.root, context), statement, context)
    }
}

/// The same where the server changes rows of patients beside it.
fn with_actions(decision: Decision, statement: &Statement, context: &Context<'_>) -> Decision {
    if !matches!(decision, Decision::Verbatim | Decision::NeedsGuard { .. }) {
        return decision;
    }
    let mut relations = actions::reached(&statement.root, context);
    if relations.is_empty() {
        return decision;
    }
    if let Decision::NeedsGuard { occurrences, .. } = &decision {
        let tables = occurrences.iter().filter_map(|o| context.bound.tables.get(&o.oid));
        relations.extend(tables.map(|table| table.rule.name.clone()));
    }
    Decision::Unattributed { relations: relations.into_iter().collect(), reason: "FOREIGN_KEY" }
}
