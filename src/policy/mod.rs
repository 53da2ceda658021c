//! Policy as plain data: protected tables, roles, masks, assignments, and pure functions of them.
//!
//! A [`Policy`] is what the configuration says, by name. A [`BoundPolicy`] is the same held
//! against a catalog snapshot, by OID. Reload is a value swap. What cannot be read denies.

mod actions;
mod bound;
mod category;
mod cells;
mod closed;
mod deciding;
mod guard;
mod hipaa;
mod links;
mod lint;
mod mask;
mod mode;
mod path;
mod preset;
mod problem;
mod refusal;
mod settled;
mod shown;
mod source;
mod steady;
mod terms;
mod way;

pub use actions::{Chain, Change, chains, reached_keys, untouched};
pub use bound::{Access, BoundPolicy, BoundTable, Denial};
pub use category::{ColumnCategory, Labels, RowCategory, Seen, Values, limits};
pub use cells::{
    CELL_AGGREGATES, Parts, cell_condition, days_between, difference_condition, differences, values_condition,
};
pub use closed::{Closed, ClosedLabels, Opens, open_assigned_keys, token};
use guard::col;
pub use guard::*;
pub use hipaa::{HipaaIdentifier, identifier_of, mask_for};
pub use lint::{Finding, Level, lint};
pub(crate) use lint::{column_family, is_system_schema};
pub(crate) use mask::without_modifier;
pub use mask::{
    Mask, MaskOf, REDACTED, WITHHELD, ZIP3_SMALL_2000, ZIP3_SMALL_2010, mask_expression, mask_join,
    masked_type, zip3_small,
};
pub use mode::PolicyMode;
pub use path::{Alternative, KeyPath, Path, Patients, Step, TableRule};
pub use preset::{MaskPreset, Masking, OutsideMasks, Proposal, TableMasks, proposals};
pub use problem::Problem;
pub use refusal::{GlsCode, Refusal};
pub use settled::{Demand, Value};
pub use source::{AssignmentQuery, Source, assigned_keys};
pub use steady::{MOVED, Steady, holds_rows, is_steady, steady_condition};
pub use terms::{DAYS, Hours, Network, Place, Terms};

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::QualifiedName;

/// The prefix of every name that pgglass puts into a statement. Client statements may not use it.
pub const RESERVED_PREFIX: &str = "__glass_";

/// The type of the patient key, the same in every protected table and in the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `text` or `varchar`
    Text,
    /// `uuid`
    Uuid,
}

impl KeyType {
    /// The type's name as SQL text, schema-qualified.
    pub fn sql(self) -> &'static str {
        match self {
            KeyType::Int4 => "pg_catalog.int4",
            KeyType::Int8 => "pg_catalog.int8",
            KeyType::Text => "pg_catalog.text",
            KeyType::Uuid => "pg_catalog.uuid",
        }
    }

    /// True for a type (`pg_type.typname`) that holds keys of this one.
    pub fn takes(self, type_name: &str) -> bool {
        match self {
            KeyType::Int4 => type_name == "int4",
            KeyType::Int8 => type_name == "int8",
            KeyType::Text => matches!(type_name, "text" | "varchar"),
            KeyType::Uuid => type_name == "uuid",
        }
    }

    /// The canonical text of a key value as a client wrote it (`'007'` and `7` are one `int4` key),
    /// or `None` when it is no value of this type.
    pub fn canonical(self, text: &str) -> Option<String> {
        match self {
            KeyType::Int4 => i32::try_from(integer(text)?).ok().map(|v| v.to_string()),
            KeyType::Int8 => integer(text).map(|v| v.to_string()),
            KeyType::Text => Some(text.to_owned()),
            KeyType::Uuid => {
                let hex: String = text
                    .trim()
                    .trim_start_matches('{')
                    .trim_end_matches('}')
                    .chars()
                    .filter(|c| *c != '-')
                    .collect();
                (hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then(|| {
                    let h = hex.to_ascii_lowercase();
                    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
                })
            }
        }
    }
}

/// An integer as the server reads it (pg_strtoint64_safe, PostgreSQL 16 and later; older ones know decimal digits
/// only, and refuse the rest).
pub(crate) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        _ => (10, digits),
    };
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    // A second sign is none of a number.
    digits.chars().next().filter(|c| c.is_digit(radix))?;
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// Columns that name a patient besides the key, for `block` and `glass.open` (for example an MRN).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// A protected table that has the key itself.
    pub table: QualifiedName,
    /// The identifying column.
    pub column: String,
}

/// Where assignments (who treats whom) are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The relation, with a unique index over (principal, patient).
    pub relation: QualifiedName,
    /// Column with the principal (database user name).
    pub principal: String,
    /// Column with the patient key.
    pub patient: String,
    /// Column from which on the assignment holds (timestamptz), NULL meaning always.
    pub valid_from: Option<String>,
    /// Column until which it holds (timestamptz), NULL meaning for ever.
    pub valid_to: Option<String>,
}

/// Whose rows a role sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Rows of assigned patients.
    Assigned,
    /// Rows of every patient; recorded all the same.
    All,
    /// No protected row at all.
    None,
}

/// What happens to rows outside the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outside {
    /// They do not exist for the user.
    Hide,
    /// They do not exist, and a lookup that names such a patient is refused with GLS-201.
    Block,
    /// They are shown, masked (see [`Masking::outside`]).
    Mask,
}

/// When a client is told that rows could have been withheld (GLS-202).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WithheldNotice {
    /// Behind every such statement.
    #[default]
    Always,
    /// Behind the first one of a session.
    Once,
    /// Never.
    Never,
}

impl WithheldNotice {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            WithheldNotice::Always => "true",
            WithheldNotice::Once => "once",
            WithheldNotice::Never => "false",
        }
    }
}

/// What a class of users may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Name, as in `[role.NAME]`.
    pub name: Arc<str>,
    /// Whose rows it sees.
    pub scope: Scope,
    /// Where and when it is this role; `None`: always.
    pub when: Option<Terms>,
    /// What happens outside the assignment, where the class of the table says nothing else.
    pub outside: Outside,
    /// The same for single classes.
    pub outside_of: BTreeMap<String, Outside>,
    /// Denied relations that are closed to this role: those of `[deny]` without its `allow_denied`.
    pub denied: BTreeSet<QualifiedName>,
    /// Table classes the role may read; `None` means every class.
    pub classes: Option<BTreeSet<String>>,
    /// Column masks: table, then column.
    pub masks: BTreeMap<QualifiedName, BTreeMap<String, Mask>>,
    /// Masks that the role has without naming them.
    pub masking: Masking,
    /// Functions allowed beyond the defaults, by qualified name.
    pub functions: BTreeSet<QualifiedName>,
    /// Channels (LISTEN) of which a restricted role gets what was sent, not only that something was.
    pub channels: BTreeSet<String>,
    /// Break-glass profile, or none: then GLS-203.
    pub break_glass: Option<String>,
    /// May run `pgglass`-side administration such as `glass.revoke` of other people's sessions.
    pub privacy_officer: bool,
    /// Whether what is decided about its statements holds.
    pub mode: PolicyMode,
    /// When its users are told GLS-202.
    pub rows_withheld: WithheldNotice,
    /// Categories of rows and columns that it sees.
    pub categories: Seen,
    /// Labels of patients whom it sees.
    pub labels: Seen,
    /// Some category or label of the policy is closed to it ([`limits`]).
    pub limited: bool,
}

impl Role {
    /// A role of this name and scope with nothing else said.
    pub fn new(name: &str, scope: Scope) -> Self {
        Self {
            name: name.into(),
            scope,
            mode: PolicyMode::Enforce,
            rows_withheld: WithheldNotice::Always,
            categories: Seen::default(),
            labels: Seen::default(),
            limited: false,
            when: None,
            outside: Outside::Hide,
            outside_of: BTreeMap::new(),
            denied: BTreeSet::new(),
            classes: None,
            masks: BTreeMap::new(),
            masking: Masking::default(),
            functions: BTreeSet::new(),
            channels: BTreeSet::new(),
            break_glass: None,
            privacy_officer: false,
        }
    }

    /// True for a role whose statements are subject to the deny lists: every role but those that see all
    /// patients, have neither masks nor a list of classes, are denied no table and see every category and
    /// label.
    pub fn is_restricted(&self) -> bool {
        self.scope != Scope::All
            || !self.masks.is_empty()
            || !self.masking.is_empty()
            || self.classes.is_some()
            || !self.denied.is_empty()
            || self.limited
    }

    /// True when what is sent on a channel may reach the role: a trigger, or anybody, can have put values of rows of any
    /// patient into it.
    pub fn hears(&self, channel: &[u8]) -> bool {
        !self.is_restricted() || self.channels.iter().any(|c| c.as_bytes() == channel)
    }

    /// True for a role to which rows of some patients, or of some categories, are hidden.
    pub fn is_filtered(&self) -> bool {
        self.scope != Scope::All || self.limited
    }

    /// True when rows of patients outside are shown masked in some class of tables.
    pub fn masks_outside(&self) -> bool {
        self.outside == Outside::Mask || self.outside_of.values().any(|o| *o == Outside::Mask)
    }

    /// What happens outside the assignment in tables of this class.
    pub fn outside_in(&self, class: &str) -> Outside {
        self.outside_of.get(class).copied().unwrap_or(self.outside)
    }
}

/// Who may open a break-glass session, and on what terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlassProfile {
    /// Name, as in `[break_glass.NAME]`.
    pub name: String,
    /// HL7 ActReason codes accepted.
    pub reasons: BTreeSet<String>,
    /// Time to live when the request names none.
    pub ttl: Duration,
    /// Longest time to live that may be asked for.
    pub max_ttl: Duration,
    /// The session closes after this long without a statement that used it.
    pub idle_close: Duration,
    /// Least characters of a note.
    pub note_min_chars: u32,
    /// Most patients one session may name.
    pub max_patients: u32,
    /// Most sessions one principal may open in 24 h.
    pub max_sessions_per_day: u32,
    /// Categories that a session may open when it names them.
    pub categories: BTreeSet<String>,
    /// Labels of patients that a session may open when it names them.
    pub labels: BTreeSet<String>,
}

/// How a principal gets its role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Principal (database user name) to role.
    pub users: BTreeMap<String, String>,
    /// Database role (group) to role; the first in file order that the user is a member of wins.
    pub groups: Vec<(String, String)>,
    /// For everyone else; absent means the login is refused.
    pub default: Option<String>,
}

/// Everything the configuration says about who sees what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// First 16 hex digits of the SHA-256 of the configuration's policy text; stands in every record.
    pub version: Arc<str>,
    /// Type of the patient key.
    pub key_type: KeyType,
    /// Other columns that name a patient.
    pub identifiers: Vec<Identifier>,
    /// Assignments.
    pub assignment: Assignment,
    /// Further assignments: the union counts.
    pub sources: Vec<Source>,
    /// Relations closed to every role but those that name them.
    pub deny: BTreeSet<QualifiedName>,
    /// Where labels of patients are read from.
    pub labels: Vec<Labels>,
    /// Protected tables.
    pub tables: Vec<TableRule>,
    /// Relations declared free of patients.
    pub reference: BTreeSet<QualifiedName>,
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// Who has which role.
    pub membership: Membership,
    /// Break-glass profiles by name.
    pub profiles: BTreeMap<String, GlassProfile>,
    /// The mode of roles that name none.
    pub mode: PolicyMode,
}

impl Policy {
    /// The role of a user who logs in and is a member of `groups`: the one that names the user, else the first in file
    /// order that names one of the groups, else the default. `None`: the login is refused.
    pub fn role_at_login(&self, user: &str, groups: Option<&HashSet<String>>) -> Option<&Role> {
        let membership = &self.membership;
        let member = |group: &String| groups.is_some_and(|g| g.contains(group));
        let by_group = || membership.groups.iter().find(|(group, _)| member(group)).map(|(_, role)| role);
        let name = membership.users.get(user).or_else(by_group).or(membership.default.as_ref())?;
        self.roles.get(name)
    }
}
