//! `report observed`: what would have been refused, filtered or masked while a policy was only watched, by statement,
//! user and tool: what has to be looked at before it is enforced. Constants of statements are left out.
//!
//! One pass over the ledger; memory grows with the number of distinct statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::report::{Format, ReportError};
use super::table::{cell, shown};
use crate::ledger::read_records;
use crate::ledger::record::{Body, End, EventId, Intent, Observed, ObservedVerdict, ProcessEvent, Record};

/// Statement text beyond this many characters is cut in the text form.
const TEXT_SQL: usize = 300;
/// Distinct patients counted for one line.
const MOST_PATIENTS: usize = 100_000;

/// What a report of observed statements says at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ObservedSummary {
    /// Statements that were watched.
    pub watched: u64,
    /// Of them: would have been refused.
    pub refuse: u64,
    /// Would have been filtered.
    pub filter: u64,
    /// Would have been masked.
    pub mask: u64,
    /// Logins that would have been refused.
    pub logins: u64,
    /// Places of the ledger that could not be read: the report may miss statements.
    pub unreadable: u64,
}

/// Statements that are alike, of one user and tool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Group {
    verdict: &'static str,
    code: String,
    fingerprint: String,
    principal: String,
    application: String,
}

/// One line of the report.
#[derive(Debug, Default, Serialize)]
struct Line {
    count: u64,
    verdict: &'static str,
    /// Of a refusal.
    code: String,
    principal: String,
    role: String,
    application: String,
    fingerprint: String,
    relations: BTreeSet<String>,
    /// Distinct patients outside the assignment.
    patients: usize,
    /// The number may be too large, or too small where patients could not be told.
    patients_bounded: bool,
    masks: BTreeSet<String>,
    /// Of a refusal, the last one's.
    message: String,
    first: String,
    last: String,
    /// Without its constants.
    statement: String,
    #[serde(skip)]
    outside: BTreeSet<String>,
}

#[derive(Default)]
struct Collector {
    open: HashMap<EventId, Intent>,
    lines: BTreeMap<Group, Line>,
    summary: ObservedSummary,
}

/// Writes the report on the records from `since` (RFC 3339, compared as text) on to `out`.
///
/// # Errors
/// When the directory cannot be read or `out` cannot be written.
pub fn observed_report(
    directory: &Path,
    since: Option<&str>,
    format: Format,
    out: &mut impl Write,
    mut warn: impl FnMut(&str),
) -> Result<ObservedSummary, ReportError> {
    let mut collector = Collector::default();
    for item in read_records(directory)? {
        match item {
            Ok(stored) => collector.push(stored.record, since),
            Err(unreadable) => {
                collector.summary.unreadable += 1;
                warn(&unreadable.to_string());
            }
        }
    }
    let Collector { lines, summary, .. } = collector;
    let mut lines: Vec<Line> = lines.into_values().collect();
    for line in &mut lines {
        line.patients = line.outside.len();
    }
    // Refusals first: they are what breaks a tool.
    let weight = |line: &Line| ["refuse", "filter", "mask"].iter().position(|w| *w == line.verdict);
    lines.sort_by(|a, b| (weight(a), b.count).cmp(&(weight(b), a.count)));
    match format {
        Format::Text => text(out, &lines, &summary)?,
        Format::Csv => csv(out, &lines)?,
        Format::Json => {
            for line in &lines {
                serde_json::to_writer(&mut *out, line).map_err(std::io::Error::other)?;
                out.write_all(b"\n")?;
            }
        }
    }
    out.flush()?;
    Ok(summary)
}

impl Collector {
    fn push(&mut self, record: Record, since: Option<&str>) {
        let time = format!("{:.6}", record.time);
        let counts = since.is_none_or(|since| time.as_str() >= since);
        match record.body {
            Body::Intent { statement, intent } => {
                if intent.who.mode.is_some() {
                    self.open.insert(statement, intent);
                }
            }
            Body::End { statement, end } => {
                if let Some(intent) = self.open.remove(&statement).filter(|_| counts) {
                    self.statement(&time, &intent, &end);
                }
            }
            Body::Statement { statement, intent, end, .. } => {
                self.open.remove(&statement);
                if counts {
                    self.statement(&time, &intent, &end);
                }
            }
            Body::Authentication { user, observed: Some(observed), from, .. } if counts => {
                self.summary.logins += 1;
                let application = from.application_name.clone().unwrap_or_default();
                self.line(&time, &observed, (&user, "", &application), String::new(), || {
                    "(login)".to_owned()
                });
            }
            // Statements of a process before this one have no end.
            Body::Process { event: ProcessEvent::Start, .. } => self.open.clear(),
            Body::Authentication { .. }
            | Body::Process { .. }
            | Body::Disclosure { .. }
            | Body::Connection { .. }
            | Body::Glass { .. }
            | Body::Policy { .. }
            | Body::Heartbeat {}
            | Body::Verify { .. }
            | Body::Report { .. } => {}
        }
    }

    fn statement(&mut self, time: &str, intent: &Intent, end: &End) {
        let Some(observed) = &end.observed else { return };
        self.summary.watched += 1;
        match observed.verdict {
            ObservedVerdict::Refuse => self.summary.refuse += 1,
            ObservedVerdict::Filter => self.summary.filter += 1,
            ObservedVerdict::Mask => self.summary.mask += 1,
            ObservedVerdict::Pass => return,
        }
        let fingerprint = intent.what.fingerprint.clone().unwrap_or_default();
        let application = intent.from.application_name.clone().unwrap_or_default();
        let who = (intent.who.principal.as_str(), intent.who.role.as_str(), application.as_str());
        let line = self.line(time, observed, who, fingerprint, || without_constants(&intent.what.sql));
        line.relations.extend(intent.what.relations.iter().cloned());
    }

    fn line(
        &mut self,
        time: &str,
        observed: &Observed,
        (principal, role, application): (&str, &str, &str),
        fingerprint: String,
        text: impl FnOnce() -> String,
    ) -> &mut Line {
        let verdict = match observed.verdict {
            ObservedVerdict::Refuse => "refuse",
            ObservedVerdict::Filter => "filter",
            ObservedVerdict::Mask => "mask",
            ObservedVerdict::Pass => "pass",
        };
        let code = observed.code.clone().unwrap_or_default();
        let group = Group {
            verdict,
            code: code.clone(),
            fingerprint: fingerprint.clone(),
            principal: principal.to_owned(),
            application: application.to_owned(),
        };
        let line = self.lines.entry(group).or_insert_with(|| Line {
            verdict,
            code,
            fingerprint,
            principal: principal.to_owned(),
            role: role.to_owned(),
            application: application.to_owned(),
            first: time.to_owned(),
            statement: text(),
            ..Line::default()
        });
        line.count += 1;
        time.clone_into(&mut line.last);
        line.patients_bounded |= observed.outside_bounded;
        for patient in &observed.outside {
            if line.outside.len() < MOST_PATIENTS {
                line.outside.insert(patient.clone());
            } else {
                line.patients_bounded = true;
            }
        }
        line.masks.extend(observed.masks.iter().cloned());
        line.message.clone_from(observed.message.as_ref().unwrap_or(&String::new()));
        line
    }
}

/// The statement with `$n` in place of its constants, which can be anyone's data.
fn without_constants(sql: &str) -> String {
    pg_query::normalize(sql).unwrap_or_else(|_| "(a text that cannot be shown without its values)".to_owned())
}

fn text(out: &mut impl Write, lines: &[Line], summary: &ObservedSummary) -> std::io::Result<()> {
    for line in lines {
        let tool = if line.application.is_empty() { "-" } else { &line.application };
        writeln!(
            out,
            "{:>7} x  {:<6} {:<8} {} ({}) with {}",
            line.count,
            line.verdict,
            line.code,
            shown(&line.principal),
            shown(&line.role),
            shown(tool)
        )?;
        let cut: String = line.statement.chars().take(TEXT_SQL).collect();
        let more = if cut.len() < line.statement.len() { "\u{2026}" } else { "" };
        writeln!(out, "    statement {}{more}", shown(&cut))?;
        if !line.message.is_empty() {
            writeln!(out, "    because   {}", shown(&line.message))?;
        }
        if !line.relations.is_empty() {
            writeln!(out, "    read      {}", shown(&joined(&line.relations)))?;
        }
        if line.patients > 0 || line.patients_bounded {
            let about = if line.patients_bounded { " known, bounded" } else { "" };
            writeln!(out, "    outside   {} patients{about}", line.patients)?;
        }
        if !line.masks.is_empty() {
            writeln!(out, "    masked    {}", shown(&joined(&line.masks)))?;
        }
        writeln!(out, "    seen      {} to {}, fingerprint {}", line.first, line.last, line.fingerprint)?;
    }
    let ObservedSummary { watched, refuse, filter, mask, logins, unreadable } = summary;
    writeln!(
        out,
        "{watched} statements were watched: {refuse} would be refused, {filter} filtered, {mask} masked; \
         {logins} logins would be refused"
    )?;
    if *unreadable > 0 {
        writeln!(out, "INCOMPLETE: {unreadable} places of the ledger could not be read; run pgglass verify")?;
    }
    Ok(())
}

fn csv(out: &mut impl Write, lines: &[Line]) -> std::io::Result<()> {
    out.write_all(
        b"count,verdict,code,principal,role,application,relations,patients,patients_bounded,masks,message,first,\
last,fingerprint,statement\r\n",
    )?;
    for line in lines {
        let cells = [
            line.count.to_string(),
            line.verdict.to_owned(),
            line.code.clone(),
            line.principal.clone(),
            line.role.clone(),
            line.application.clone(),
            joined(&line.relations),
            line.patients.to_string(),
            line.patients_bounded.to_string(),
            joined(&line.masks),
            line.message.clone(),
            line.first.clone(),
            line.last.clone(),
            line.fingerprint.clone(),
            line.statement.clone(),
        ];
        let cells: Vec<String> = cells.iter().map(|c| cell(c)).collect();
        write!(out, "{}\r\n", cells.join(","))?;
    }
    Ok(())
}

fn joined(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
