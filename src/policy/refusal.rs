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
}

impl Refusal {
    /// A refusal by policy (SQLSTATE 42501, which drivers do not retry).
    pub fn new(code: GlsCode, message: impl Into<String>) -> Self {
        Self { code, sqlstate: "42501", message: message.into(), detail: None, hint: None }
    }

    /// The same refusal with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same refusal with a detail line.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
