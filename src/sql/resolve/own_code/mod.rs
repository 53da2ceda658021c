//! Functions of the database's own that a statement runs without naming them: behind casts, operators, operator
//! classes, domains, defaults, generated columns and CHECK constraints. For restricted roles such a function must be
//! listed, or show nothing that the role could not read itself ([`judge`]); a statement that can reach another is refused
//! ([`reach`]). Functions of C are trusted, as those who make them could do anything. Databases without such functions
//! see nothing of all this.

mod judge;
mod reach;
#[cfg(test)]
mod tests;

use super::Context;
use crate::catalog::{FIRST_NORMAL_OID, Function};
use crate::policy::{GlsCode, Refusal};
use crate::sql::cannot_guard;
use crate::sql::functions::builtin_allowed;
use crate::sql::tree::Node;

use judge::Judge;
use reach::{Reached, reached};

/// Statements in which nothing is computed.
const WITHOUT_EXPRESSIONS: [&str; 11] = [
    "TransactionStmt",
    "VariableSetStmt",
    "VariableShowStmt",
    "DiscardStmt",
    "DeallocateStmt",
    "ListenStmt",
    "UnlistenStmt",
    "NotifyStmt",
    "ConstraintsSetStmt",
    "FetchStmt",
    "ClosePortalStmt",
];

/// Why a restricted role may not run `root`, if it may not.
pub(crate) fn refusal(root: &Node, context: &Context<'_>) -> Option<Refusal> {
    let own = &context.catalog.own_code;
    if (own.is_empty() && context.namespace.temp_types.is_empty()) || WITHOUT_EXPRESSIONS.contains(&root.kind)
    {
        return None;
    }
    let (reached, temporary) = reached(root, context);
    if let Some(name) = temporary {
        return Some(left_behind(&name));
    }
    first_refused(&reached, context)
}

/// Why values of these types may not be given as parameters: a domain's constraints run on what is bound.
pub(crate) fn parameter_refusal(types: &[u32], context: &Context<'_>) -> Option<Refusal> {
    let own = &context.catalog.own_code;
    if !context.role.is_restricted() || types.iter().all(|t| *t < FIRST_NORMAL_OID) {
        return None;
    }
    // Which types those are by number is not asked.
    if let Some(name) = context.namespace.temp_types.first() {
        return Some(left_behind(name));
    }
    if own.is_empty() {
        return None;
    }
    first_refused(&reach::of_types(own.inside(types.iter().copied()), context), context)
}

/// Every function that the role may not run unnamed although a statement can reach it, and behind what. For people who
/// look at a policy.
pub fn refused(context: &Context<'_>) -> Vec<(String, String)> {
    if !context.role.is_restricted() || context.catalog.own_code.is_empty() {
        return Vec::new();
    }
    let refused = |r: &Reached<'_>| Some((Judge::of(r, context)?, r.place(context)));
    let mut out: Vec<_> = reach::all(context).iter().filter_map(refused).collect();
    out.sort();
    out.dedup();
    out
}

/// True for an extension's function by the name of a built-in one that the role may call, such as `max(citext)`, when no
/// call by that name shows anything else.
pub(crate) fn is_harmless_overload(function: &Function, name: &str, context: &Context<'_>) -> bool {
    builtin_allowed(name)
        && context.catalog.own_code.overloads.get(&function.oid).is_some_and(|f| f.of_extension)
        && Judge::is_harmless_call(name, context)
}

fn left_behind(name: &str) -> Refusal {
    cannot_guard(
        format_args!(
            "temporary type {name} was made before this role had limits; what runs with it is not known"
        ),
        "connect again, or use a type that is not temporary",
    )
}

fn first_refused(reached: &[Reached<'_>], context: &Context<'_>) -> Option<Refusal> {
    let (function, reached) = reached.iter().find_map(|r| Some((Judge::of(r, context)?, r)))?;
    let role = &context.role.name;
    let refusal = Refusal::new(
        GlsCode::CannotGuard,
        format!(
            "function {function}, which runs behind {}, is not allowed for role {role}",
            reached.place(context)
        ),
    );
    Some(refusal.with_hint(format!(
        "if it shows nothing of patients, an administrator can add it to functions of [role.{role}]"
    )))
}
