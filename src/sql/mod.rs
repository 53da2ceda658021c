//! From statement text to a verdict: parse, resolve, plan, check, lineage.
//!
//! `plan` rewrites and is not trusted; `check` is. The data they hand on is defined here.

mod arrays;
pub mod cache;
pub mod check;
mod column_names;
pub(crate) mod constants;
pub mod copy;
mod deparse;
pub mod effects;
mod fixed_names;
#[cfg(any(test, fuzzing))]
pub(crate) mod fixture;
mod functions;
#[cfg(test)]
pub(crate) mod honest;
mod lineage;
pub mod literal;
mod locate;
#[cfg(test)]
mod messages_tests;
pub mod object_names;
pub mod objects;
pub mod observed;
pub mod parse;
pub mod plan;
pub mod planner;
mod redact;
pub mod resolve;
pub mod template;
pub mod tree;
mod views;
mod weight;
mod words;

pub(crate) use self::arrays::{elements, whole};
pub(crate) use self::check::{is_oid_name, is_oid_type};
pub(crate) use self::functions::setting_allowed;
use crate::policy::{GlsCode, Refusal};

/// What a guarded statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// A query.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE, at the top of a statement.
    Merge,
    /// A query whose WITH writes.
    With,
}

/// How the record learns the patients of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The statement's own conjuncts pin every protected table to constants or parameters.
    Pinned,
    /// Hidden witness columns carry the keys of every row.
    Carried,
    /// A second, cheaper scan in the same statement collects a superset.
    Bound,
}

/// Lineage of a statement as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The strategy.
    pub strategy: Strategy,
    /// True when the recorded set is the lineage exactly, false when it is a superset.
    pub exact: bool,
    /// Why not exact: `HAVING`, `NOT_EXISTS`, `OFFSET` ... Empty when exact.
    pub reasons: Vec<&'static str>,
}

/// A value that a statement's own conjunct demands of a patient key or identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PinValue {
    /// A constant, as the client wrote it.
    Constant(String),
    /// Parameter `$n` (1-based).
    Parameter(u16),
    /// Each element of the array that parameter `$n` is.
    Elements(u16),
    /// Both of these, where they are the same.
    Both(Box<(PinValue, PinValue)>),
}

/// A patient that the statement names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pin {
    /// `None`: the patient key itself; `Some(i)`: index into `Policy::identifiers`.
    pub identifier: Option<usize>,
    /// The value.
    pub value: PinValue,
    /// True where no row of another patient can matter; else the value is what is asked for, and nothing follows from
    /// it.
    pub certain: bool,
}

impl Pin {
    /// True when both name the same patient in the same way.
    pub(crate) fn same_as(&self, other: &Pin) -> bool {
        (self.identifier, &self.value) == (other.identifier, &other.value)
    }
}

/// What stands in the record about the statement's reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Protected relations, `schema.name`, sorted.
    pub relations: Vec<String>,
    /// Their classes, sorted.
    pub classes: Vec<String>,
}

/// A statement with its guard, as it is sent to the server.
///
/// Hidden columns of its result all start with `__glass_` and are stripped by name:
/// `__glass_k<n>` carries one key as text, `__glass_s<n>` a set of keys as `text[]`, and
/// `__glass_m<n>` is the marker of a real row (`t`): where it is present and NULL, the row carries
/// only witnesses and is itself not shown. `__glass_c<n>` is a check that carries nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardedPlan {
    /// The text that goes to the server.
    pub text: String,
    /// Kind of statement.
    pub kind: StatementKind,
    /// Highest `$n` of the client's text; ours follow.
    pub client_params: u16,
    /// The number of the parameter that takes the principal, when the text has one.
    pub principal_param: Option<u16>,
    /// The number of the parameter that takes the granted patients (an array of the key type).
    pub grants_param: Option<u16>,
    /// The number of the parameter that takes what sessions open by name (`text[]`).
    pub opened_param: Option<u16>,
    /// Lineage.
    pub lineage: Lineage,
    /// Patients the statement names.
    pub pins: Vec<Pin>,
    /// Patients whom it would give rows to, where it names them.
    pub aims: Vec<PinValue>,
    /// A row in the reply, or one that was written, is one of a patient that the statement names.
    pub rows_show_pins: bool,
    /// Refuse with GLS-201 when a pinned patient is outside and nothing was found.
    pub block: bool,
    /// True when rows could have been withheld by a filter, and every row read is of a patient whom the
    /// user may see.
    pub filtered: bool,
    /// True when rows of patients whom the user may see could have been withheld, of a category or label that
    /// is closed to the role.
    pub closed: bool,
    /// A write that reads rows of protected tables besides those that it changes.
    pub reads_others: bool,
    /// True when the client's own statement returns no rows (DML without RETURNING): the rows of
    /// the reply are witnesses only, and its RowDescription is not shown.
    pub rows_are_witnesses: bool,
    /// True when witness rows of the reply do not stand for client rows one to one (a `__glass_m`
    /// marker column is present).
    pub has_marker: bool,
    /// What is read.
    pub footprint: Footprint,
    /// Set for a COPY: how its data is written. `text` is then the query inside it (out), or the
    /// client's own statement (in).
    pub copy: Option<copy::CopyPlan>,
    /// What the server says of the columns of the client's own text, once it was asked. What reads on in a cursor shares
    /// it.
    pub origin: std::sync::Arc<std::sync::OnceLock<Origin>>,
    /// What stands around it.
    pub wrap: objects::Wrap,
    /// What enforcing would do with the statement, while that is only watched.
    pub observed: Option<std::sync::Arc<observed::Observed>>,
}

/// The columns of a statement as the client wrote it. A fenced or masked table is a derived one, whose
/// columns have lost their table, their number in it and their type modifier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// In the order of the reply.
    pub columns: Vec<ColumnOrigin>,
}

/// What a column of a reply is called and where it comes from (manual, RowDescription).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnOrigin {
    /// Its name.
    pub name: String,
    /// The table, as an OID; 0 if none.
    pub table: u32,
    /// Its number in that table; 0 if none.
    pub attribute: i16,
    /// Its type, as an OID.
    pub type_oid: u32,
    /// The type modifier; -1 if none.
    pub type_modifier: i32,
}

impl GuardedPlan {
    /// The COPY to the client that this is, if it is one.
    pub fn copy_out(&self) -> Option<&copy::CopyOut> {
        match &self.copy {
            Some(copy::CopyPlan::Out(out)) => Some(out),
            Some(copy::CopyPlan::In(_)) | None => None,
        }
    }

    /// The COPY from the client that this is, if it is one.
    pub fn copy_in(&self) -> Option<&copy::CopyIn> {
        match &self.copy {
            Some(copy::CopyPlan::In(incoming)) => Some(incoming),
            Some(copy::CopyPlan::Out(_)) | None => None,
        }
    }
}

/// What becomes of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The client's bytes go through.
    Verbatim,
    /// A plan with guards.
    Guarded(std::sync::Arc<GuardedPlan>),
    /// An unrestricted role's statement whose patients cannot be told: it goes through, and is
    /// recorded, before its reply leaves, as touching possibly every patient of these relations.
    Unattributed {
        /// Relations it may read; empty when not even that is known (`DO`, procedures).
        footprint: Footprint,
        /// Why.
        reason: &'static str,
    },
    /// Not run.
    Refused(Refusal),
}

/// The refusal of a parameter of type `oid` or the like beside protected rows.
pub(crate) fn oid_parameter() -> Refusal {
    cannot_guard(
        "a parameter of type oid, to which columns may be converted, beside protected rows",
        "Declare it as bigint or text, or leave its type to the server.",
    )
}

/// A statement that cannot be guarded: GLS-240, saying what, and a form that works.
pub(crate) fn cannot_guard(what: impl std::fmt::Display, instead: &str) -> Refusal {
    let refusal = Refusal::new(GlsCode::CannotGuard, format!("this statement cannot be guarded: {what}"));
    if instead.is_empty() { refusal } else { refusal.with_hint(instead) }
}
