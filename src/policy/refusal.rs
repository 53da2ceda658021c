//! The stable codes of everything pgglass refuses, and the refusal as a value.
//!
//! A refusal carries its own code and text, so that what the client is told, what the ledger
//! records and what a counter counts cannot disagree.

/// A stable code. It stands in the message text and in the constraint-name field of the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GlsCode {
    /// Not your patient.
    NotYourPatient,
    /// Rows were withheld (a warning).
    RowsWithheld,
    /// The role cannot break glass, or the request is not acceptable.
    CannotBreakGlass,
    /// A sensitive category not opened by this session.
    CategoryNotOpened,
    /// Read or append only inside a session.
    ReadOnly,
    /// A quota is used up.
    Quota,
    /// The second factor is wrong or reused.
    SecondFactor,
    /// The approval is pending.
    ApprovalPending,
    /// The role may not be used here or now.
    OutsideTerms,
    /// The session ended.
    SessionEnded,
    /// Whose a row is changed while the statement waited for it: run it again.
    RowMoved,
    /// A relation that is neither mapped to patients nor declared free of them, or is denied.
    NotMapped,
    /// The ledger is unavailable.
    LedgerUnavailable,
    /// The statement cannot be guarded.
    CannotGuard,
    /// The answer could rest on too few patients.
    SmallCell,
    /// What enforcing the policy would have done with a statement (a warning).
    WouldEnforce,
}

impl GlsCode {
    /// The code as users see it.
    pub fn as_str(self) -> &'static str {
        match self {
            GlsCode::NotYourPatient => "GLS-201",
            GlsCode::RowsWithheld => "GLS-202",
            GlsCode::CannotBreakGlass => "GLS-203",
            GlsCode::CategoryNotOpened => "GLS-204",
            GlsCode::ReadOnly => "GLS-205",
            GlsCode::Quota => "GLS-206",
            GlsCode::SecondFactor => "GLS-207",
            GlsCode::ApprovalPending => "GLS-208",
            GlsCode::OutsideTerms => "GLS-209",
            GlsCode::SessionEnded => "GLS-210",
            GlsCode::RowMoved => "GLS-211",
            GlsCode::NotMapped => "GLS-220",
            GlsCode::LedgerUnavailable => "GLS-230",
            GlsCode::CannotGuard => "GLS-240",
            GlsCode::SmallCell => "GLS-241",
            GlsCode::WouldEnforce => "GLS-250",
        }
    }
}

/// Why a statement was not run, with what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {message}", code.as_str())]
pub struct Refusal {
    /// The stable code.
    pub code: GlsCode,
    /// SQLSTATE: `42501` for every refusal by policy, `42601` and the like for unparsable text.
    pub sqlstate: &'static str,
    /// What happened and the remedy, without the code.
    pub message: String,
    /// More of what happened.
    pub detail: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// Where in the client's text, in characters from 1, when that is known.
    pub position: Option<usize>,
}

impl Refusal {
    /// A refusal by policy (SQLSTATE 42501, which drivers do not retry).
    pub fn new(code: GlsCode, message: impl Into<String>) -> Self {
        Self { code, sqlstate: "42501", message: message.into(), detail: None, hint: None, position: None }
    }

    /// The same refusal with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do next, as the client is told it: the hint, or what can be said of every refusal of this code.
    pub fn advice(&self) -> Option<String> {
        let usual = match self.code {
            GlsCode::CannotGuard if self.sqlstate == "42501" => {
                Some("Write it with plain joins, subqueries and WITH queries, or ask whoever runs pgglass.")
            }
            GlsCode::NotMapped => Some("Ask whoever runs pgglass for a role that may read it."),
            _ => None,
        };
        self.hint.as_deref().or(usual).map(sentence)
    }

    /// The same refusal with a detail line.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase()).into_iter();
    let mut sentence: String = first.chain(chars).collect();
    if sentence.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ')' | ']' | '"')) {
        sentence.push('.');
    }
    sentence
}
