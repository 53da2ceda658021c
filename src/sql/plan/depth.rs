//! Long chains (`a AND b AND c ...`) make deep trees in the rewriter's AST where PostgreSQL's are flat, and
//! printing and cloning those recurse. A client must not be able to exhaust the stack, so it is done on a
//! large one, and very long chains are refused. Not for PostgreSQL's trees: `parse` limits those.

use super::PlanError;
use crate::sql::parse::with_room as on_a_large_stack;

/// More operators are refused.
const MOST: usize = 8_000;

/// An upper bound for the depth of any chain in `text`: its operators, as characters and words.
fn operators(text: &str) -> usize {
    let signs = text.bytes().filter(|b| b"+-*/<>=~!@#%^&|:[".contains(b)).count();
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|w| {
            [
                "and",
                "or",
                "not",
                "is",
                "union",
                "except",
                "intersect",
                "collate",
                "at",
                "like",
                "between",
                "in",
            ]
            .iter()
            .any(|k| w.eq_ignore_ascii_case(k))
        })
        .count();
    signs + words
}

/// Runs `work` where the depth of `text` cannot hurt.
///
/// # Errors
/// [`PlanError::Parse`] when the text has too many operators.
pub(super) fn with_room<T>(text: &str, work: impl FnOnce() -> Result<T, PlanError>) -> Result<T, PlanError> {
    match operators(text) {
        0..=MOST => on_a_large_stack(work),
        many => {
            Err(PlanError::Parse(format!("the statement has {many} operators; at most {MOST} are handled")))
        }
    }
}
