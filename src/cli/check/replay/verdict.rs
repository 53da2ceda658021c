//! The verdict on one statement in a word, so that two can be compared.

use std::sync::Arc;

use crate::catalog::{Catalog, Namespace};
use crate::policy::{Access, BoundPolicy, Refusal, Role, Variant};
use crate::sql::Verdict;
use crate::sql::planner::{self, Context};

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    /// Nothing is known.
    Unknown,
    /// It was run, however.
    Ran,
    /// As the client sent it.
    Verbatim,
    /// Every patient's rows, each recorded.
    Recorded,
    /// Every patient's rows, columns masked.
    Masked,
    /// Rows of visible patients.
    Filtered,
    /// The same, columns masked.
    FilteredMasked,
    /// As the client sent it, recorded as touching possibly every patient.
    AnyPatient,
    /// Not run, with the code.
    Refused(String),
    /// Its user has no role.
    NoLogin,
}

impl Label {
    fn runs(&self) -> bool {
        !matches!(self, Label::Refused(_) | Label::NoLogin | Label::Unknown)
    }

    /// What somebody should look at first: what will not run any more, what runs now, what shows something else.
    pub(super) fn severity(&self, from: &Label) -> u8 {
        match (from.runs(), self.runs()) {
            (true, false) => 0,
            (false, true) => 1,
            (true, true) => 2,
            (false, false) => 3,
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Unknown => f.write_str("(not known)"),
            Label::Ran => f.write_str("ran"),
            Label::Verbatim => f.write_str("verbatim"),
            Label::Recorded => f.write_str("every patient, recorded"),
            Label::Masked => f.write_str("every patient, masked"),
            Label::Filtered => f.write_str("filtered"),
            Label::FilteredMasked => f.write_str("filtered, masked"),
            Label::AnyPatient => f.write_str("recorded as possibly every patient"),
            Label::Refused(code) => write!(f, "refused {code}"),
            Label::NoLogin => f.write_str("login refused (no role)"),
        }
    }
}

/// A verdict.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) label: Label,
    /// Protected relations it reads.
    pub(super) relations: Vec<String>,
    /// Of a refusal.
    pub(super) why: Option<String>,
    /// What would be sent in its place; two verdicts of one label can differ in it.
    sent: Option<String>,
}

impl Decided {
    /// A verdict of which no more is known.
    pub(super) fn recorded(label: Label) -> Self {
        Self { label, relations: Vec::new(), why: None, sent: None }
    }

    /// True when somebody would notice.
    pub(super) fn differs(&self, other: &Decided) -> bool {
        match (&self.label, &other.label) {
            (Label::Ran, new) => !new.runs(),
            (a, b) if a != b => true,
            // A mask or a way is another one.
            _ => matches!((&self.sent, &other.sent), (Some(a), Some(b)) if a != b),
        }
    }
}

/// The verdict on a text of one statement or several; of several the one that counts most.
pub(super) fn decide(
    sql: &str,
    bound: &Arc<BoundPolicy>,
    catalog: &Arc<Catalog>,
    role: &str,
    namespace: Namespace,
    variant: Variant,
) -> Decided {
    let Some(role) = bound.policy.roles.get(role) else { return Decided::recorded(Label::NoLogin) };
    let context = Context {
        role: Arc::new(role.clone()),
        policy: Arc::clone(bound),
        catalog: Arc::clone(catalog),
        namespace: Arc::new(namespace),
        variant,
        // What enforcing does, whatever the role's mode.
        watched: None,
    };
    let planned = match planner::decide(sql, &context) {
        Ok(planned) => planned,
        Err(refusal) => return refused(&refusal),
    };
    let mut out = Decided::recorded(Label::Verbatim);
    for statement in &planned.statements {
        let one = match &statement.verdict {
            Verdict::Refused(refusal) => refused(refusal),
            Verdict::Verbatim => continue,
            Verdict::Unattributed { footprint, .. } => {
                Decided { relations: footprint.relations.clone(), ..Decided::recorded(Label::AnyPatient) }
            }
            Verdict::Guarded(plan) => {
                let masked = is_masked(bound, role, &plan.footprint.relations);
                let label = match (plan.filtered, masked) {
                    (true, true) => Label::FilteredMasked,
                    (true, false) => Label::Filtered,
                    (false, true) => Label::Masked,
                    (false, false) => Label::Recorded,
                };
                Decided {
                    label,
                    relations: plan.footprint.relations.clone(),
                    why: None,
                    sent: Some(plan.text.clone()),
                }
            }
        };
        if one.label > out.label {
            out = one;
        }
    }
    out
}

fn is_masked(bound: &BoundPolicy, role: &Role, relations: &[String]) -> bool {
    let read = bound.tables.values().filter(|t| relations.contains(&t.name.to_string()));
    let mut accesses = read.map(|t| bound.access(role, t.oid));
    accesses.any(|a| matches!(a, Access::Protected { masks, .. } if !masks.is_empty()))
}

fn refused(refusal: &Refusal) -> Decided {
    // Names of columns and tables may stand in it, values do not.
    Decided {
        why: Some(refusal.message.clone()),
        ..Decided::recorded(Label::Refused(match refusal.sqlstate {
            "42501" => refusal.code.as_str().to_owned(),
            other => other.to_owned(),
        }))
    }
}

/// libpg_query's fingerprint: the same for statements that differ in constants only.
pub(super) fn fingerprint(sql: &str) -> String {
    pg_query::fingerprint(sql, 0, 0).map_or_else(|_| "-".to_owned(), |f| f.hex)
}

/// The text with `$n` in place of constants, on one line, cut to a length for people.
pub(super) fn without_constants(sql: &str) -> String {
    const LONGEST: usize = 300;
    const UNREAD: &str = "(a text that is not understood is not shown)";
    if sql.contains('\0') || sql.len() > 64 * 1024 {
        return "(too long to be shown)".to_owned();
    }
    // Comments can hold anything, and stay where they are when constants are taken out.
    let without_comments = strip_comments(sql);
    let Some(text) = without_comments.as_deref().and_then(|t| pg_query::normalize(t).ok()) else {
        return UNREAD.to_owned();
    };
    // What normalize leaves in place (utility statements, for example) must not carry a quoted value.
    if pg_query::scan(&text).map_or(true, |scanned| scanned.tokens.iter().any(is_text_constant)) {
        return format!("{} ... (constants in it are not shown)", first_words(&text));
    }
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > LONGEST {
        line = line.chars().take(LONGEST).chain(" ...".chars()).collect();
    }
    line
}

fn is_text_constant(token: &pg_query::protobuf::ScanToken) -> bool {
    use pg_query::protobuf::Token;
    [Token::Sconst, Token::Usconst, Token::Bconst, Token::Xconst].iter().any(|t| token.token == *t as i32)
}

fn first_words(text: &str) -> String {
    text.split_whitespace()
        .take_while(|w| w.chars().all(|c| c.is_ascii_alphabetic() || c == '_'))
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The text without comments; `None` when it cannot be read.
fn strip_comments(sql: &str) -> Option<String> {
    use pg_query::protobuf::Token;
    let scanned = pg_query::scan(sql).ok()?;
    let mut out = String::with_capacity(sql.len());
    let mut at = 0;
    for token in &scanned.tokens {
        if [Token::SqlComment as i32, Token::CComment as i32].contains(&token.token) {
            let (start, end) = (usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?);
            out.push_str(sql.get(at..start)?);
            out.push(' ');
            at = end;
        }
    }
    out.push_str(sql.get(at..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_hold_no_constant() {
        for sql in [
            "SELECT * FROM p WHERE mrn = 'SECRET' AND n = 4711 -- SECRET",
            "SELECT /* SECRET */ 'SECRET' || $$SECRET$$ FROM p",
            "SET app.patient = 'SECRET'",
            "COMMENT ON TABLE p IS 'SECRET'",
            "COPY p FROM '/SECRET'",
            "CREATE ROLE x PASSWORD 'SECRET'",
            "INSERT INTO p VALUES ('SECRET', 4711)",
            "SELECT 'SECRET",
            "not SQL: SECRET",
            "PREPARE x AS SELECT 'SECRET'",
            "DO $$ BEGIN RAISE 'SECRET'; END $$",
            "EXECUTE x ('SECRET')",
            "NOTIFY c, 'SECRET'",
            "DECLARE c CURSOR FOR SELECT 'SECRET' FROM p WHERE a = 4711",
        ] {
            let shown = without_constants(sql);
            assert!(!shown.contains("SECRET") && !shown.contains("4711"), "{sql}: {shown}");
        }
        assert_eq!(without_constants("SELECT  a\n FROM p WHERE b = 'x'"), "SELECT a FROM p WHERE b = $1");
    }

    #[test]
    fn what_will_not_run_any_more_comes_first() {
        let refused = Label::Refused("GLS-220".into());
        assert_eq!(refused.severity(&Label::Verbatim), 0);
        assert_eq!(Label::Verbatim.severity(&refused), 1);
        assert_eq!(Label::Filtered.severity(&Label::Verbatim), 2);
    }
}
