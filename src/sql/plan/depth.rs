//! Long chains (`a AND b AND c ...`) make deep trees, and printing and cloning those recurse. A
//! client must not be able to exhaust the stack, so long statements run on a large one, and very
//! long chains are refused. Not for parentheses: the parser limits those itself.

use super::PlanError;

/// From this many operators on, a statement is handled on a stack of its own.
const MANY: usize = 300;
/// More are refused.
const MOST: usize = 8_000;
/// Bytes of that stack.
const STACK: usize = 512 << 20;

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
/// [`PlanError::Parse`] when the text is too deep, or no thread could be had for it.
pub(super) fn with_room<T: Send>(
    text: &str,
    work: impl FnOnce() -> Result<T, PlanError> + Send,
) -> Result<T, PlanError> {
    match operators(text) {
        0..MANY => work(),
        MANY..=MOST => std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
            let thread =
                thread.map_err(|e| PlanError::Parse(format!("no room for a long statement: {e}")))?;
            thread.join().map_err(|_| PlanError::Parse("the statement is too deep".to_owned()))?
        }),
        many => {
            Err(PlanError::Parse(format!("the statement has {many} operators; at most {MOST} are handled")))
        }
    }
}
