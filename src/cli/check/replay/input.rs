//! Statements from a ledger's folder, from a file with one record a line, or from a plain file of SQL.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use crate::ledger::record::{Body, End, Intent, Outcome, Record};
use crate::ledger::{LedgerError, read_records};

/// A statement that was sent once.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// The database user; empty in a plain file.
    pub(super) user: String,
    /// The role that was recorded; empty in a plain file.
    pub(super) role: String,
    /// It used a break-glass session.
    pub(super) glass: bool,
    /// What became of it, when that is known.
    pub(super) recorded: Option<Recorded>,
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It ran, or was refused for what only a running session knows.
    Ran,
    /// It was refused as it stood.
    Refused(String),
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli::check) enum InputError {
    /// The operating system says so.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder is no ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Longest line of a file of records, bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// Reads a file and hands on each statement, or why something is none. True for a plain file, which names no users.
pub(super) fn read(path: &Path, give: &mut dyn FnMut(Result<Statement, String>)) -> Result<bool, InputError> {
    let failed = |source| InputError::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let mut statements = Open::default();
    if metadata.is_dir() {
        for stored in read_records(path)? {
            match stored {
                Ok(stored) => statements.record(&stored.record, give),
                Err(_) => {
                    give(Err("a place of the ledger that cannot be read: run pgglass verify".to_owned()))
                }
            }
        }
        statements.finish(give);
        return Ok(false);
    }
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sql")) {
        let text = std::fs::read_to_string(path).map_err(failed)?;
        plain(&text, give);
        return Ok(true);
    }
    let mut reader = std::io::BufReader::new(std::fs::File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = std::io::Read::take(&mut reader, LONGEST_LINE);
        if limited.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Record>(&line) {
            Ok(record) => statements.record(&record, give),
            Err(_) => {
                give(Err("a line that is no record (one JSON object a line; SQL in a file ending in .sql)"
                    .to_owned()))
            }
        }
    }
    statements.finish(give);
    Ok(false)
}

/// Statements whose end is not read yet: a record of the intent comes first, one of the end later.
#[derive(Default)]
struct Open {
    intents: std::collections::HashMap<String, Intent>,
}

impl Open {
    /// Most statements that are open at a time; what is older is taken to have run.
    const MOST: usize = 10_000;

    fn record(&mut self, record: &Record, give: &mut dyn FnMut(Result<Statement, String>)) {
        match &record.body {
            Body::Statement { statement: id, intent, end, .. } => {
                // A write was announced when it was sent.
                self.intents.remove(&id.0);
                give(statement(intent, Some(end)));
            }
            Body::Intent { statement: id, intent } => {
                if self.intents.len() >= Self::MOST {
                    self.finish(give);
                }
                self.intents.insert(id.0.clone(), intent.clone());
            }
            Body::End { statement: id, end } => {
                if let Some(intent) = self.intents.remove(&id.0) {
                    give(statement(&intent, Some(end)));
                }
            }
            Body::Disclosure { .. }
            | Body::Connection { .. }
            | Body::Authentication { .. }
            | Body::Glass { .. }
            | Body::Policy { .. }
            | Body::Process { .. }
            | Body::Heartbeat {}
            | Body::Verify { .. }
            | Body::Report { .. } => {}
        }
    }

    fn finish(&mut self, give: &mut dyn FnMut(Result<Statement, String>)) {
        let mut left: Vec<(String, Intent)> = self.intents.drain().collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        left.iter().for_each(|(_, intent)| give(statement(intent, None)));
    }
}

fn statement(intent: &Intent, end: Option<&End>) -> Result<Statement, String> {
    let sql = &intent.what.sql;
    if sql.trim().is_empty() {
        return Err("a record without a text".to_owned());
    }
    // Long texts are recorded up to a length, with their length and hash behind.
    if sql.len() > 32 * 1024 && sql.ends_with(']') && sql.contains("... [cut: ") {
        return Err("a text that was cut when it was recorded".to_owned());
    }
    let refused = end.and_then(|end| match (&end.outcome, &end.observed) {
        (Outcome::Refused { code }, _) => Some(code),
        // While a policy was only observed: what enforcing would have done.
        (_, Some(observed)) => observed.code.as_ref(),
        _ => None,
    });
    let recorded = match refused {
        // What the text alone decides; the other codes depend on patients, sessions and the ledger.
        Some(code) if matches!(code.as_str(), "GLS-220" | "GLS-240") => Recorded::Refused(code.clone()),
        _ => Recorded::Ran,
    };
    Ok(Statement {
        sql: sql.clone(),
        user: intent.who.database_user.clone(),
        role: intent.who.role.clone(),
        glass: !intent.glass_sessions.is_empty(),
        recorded: Some(recorded),
    })
}

/// The statements of a text of SQL. Commands of psql are left out.
fn plain(text: &str, give: &mut dyn FnMut(Result<Statement, String>)) {
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if line.starts_with('\\') {
            give(Err("a command of psql".to_owned()));
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let split = if kept.contains('\0') { None } else { pg_query::split_with_scanner(&kept).ok() };
    let Some(statements) = split else {
        give(Err("a file that cannot be taken apart into statements (an open quote, or a NUL)".to_owned()));
        return;
    };
    for sql in statements.into_iter().map(str::trim).filter(|s| !s.is_empty()) {
        give(Ok(Statement {
            sql: sql.to_owned(),
            user: String::new(),
            role: String::new(),
            glass: false,
            recorded: None,
        }));
    }
}
