//! What is known of a text by itself, without a role, a policy or a catalog.

use std::sync::Arc;

use super::{Planned, PlannedStatement};
use crate::policy::Refusal;
use crate::sql::Verdict;
use crate::sql::effects::effects;
use crate::sql::parse::{self, Statement};

/// Decides `text` when nothing but ends of a transaction stands in it: what a failed transaction
/// still takes. `None` otherwise.
pub fn transaction_end(text: &str) -> Option<Planned> {
    only(text, |s| s.root.kind == "TransactionStmt")
}

/// The refusal of `text` when it has a syntax error. A long text is not looked at.
pub fn syntax_error(text: &str) -> Option<Refusal> {
    if text.len() > LONGEST_ONLY {
        return None;
    }
    parse::deep(|| match parse::parse(text) {
        Err(e @ parse::ParseRefusal::Syntax(_)) => Some(e.refusal()),
        _ => None,
    })
}

/// True for a text of exactly one statement.
pub fn is_one_statement(text: &str) -> bool {
    parse::deep(|| parse::parse(text).is_ok_and(|parsed| parsed.statements.len() == 1))
}

/// The same as [`transaction_end`] for transaction control and SET, RESET, SHOW alone: what is let through while the
/// session's encoding is one that is not understood.
pub fn transaction_or_setting(text: &str) -> Option<Planned> {
    let kinds = ["TransactionStmt", "VariableSetStmt", "VariableShowStmt"];
    text.is_ascii().then(|| only(text, |s| kinds.contains(&s.root.kind)))?
}

/// Longest text that is parsed while others wait: what is longer is no end of a transaction and no setting.
const LONGEST_ONLY: usize = 32 * 1024;

fn only(text: &str, accept: impl Fn(&Statement) -> bool) -> Option<Planned> {
    if text.len() > LONGEST_ONLY {
        return None;
    }
    let parsed = parse::parse(text).ok()?;
    let [statement] = parsed.statements.as_slice() else {
        return parsed.statements.is_empty().then(|| Planned { statements: Vec::new() });
    };
    accept(statement).then(|| Planned {
        statements: vec![Arc::new(PlannedStatement {
            text: statement.text.as_str().into(),
            verdict: Verdict::Verbatim,
            effects: effects(statement, &Verdict::Verbatim),
            unknown_relation: false,
            object: None,
            behind: Vec::new(),
            given: Vec::new(),
            observed: None,
        })],
    })
}
