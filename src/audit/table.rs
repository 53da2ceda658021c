//! How accesses look: text for people, CSV for spreadsheets, JSON lines for programs.
//!
//! Statement text and notes were written by users: in text, control characters are shown as escapes;
//! in CSV, a cell that a spreadsheet would take for a formula gets a leading apostrophe.

use std::borrow::Cow;
use std::io::{self, Write};

use super::access::{Access, Certainty, GlassReason};

/// Statement text beyond this many characters is cut in the text form.
const TEXT_SQL: usize = 400;

/// CSV's header line.
pub(crate) const CSV_HEADER: &str = "time,principal,role,database_user,database,address,application,classes,\
relations,certainty,reasons,rows,outcome,glass_session,glass_reason,glass_note,glass_opened,statement,event,leaf,node\r\n";

/// One access for people.
pub(crate) fn text(out: &mut impl Write, access: &Access) -> io::Result<()> {
    let who = named(&access.who.principal, &access.who.role);
    let application = access.from.application_name.as_deref().unwrap_or("");
    let from = named(&access.from.address, application);
    let data = if access.classes.is_empty() { "-".to_owned() } else { access.classes.join(", ") };
    let time = access.time.get(..19).unwrap_or(&access.time).replace('T', " ");
    writeln!(
        out,
        "{time}Z  {:<24} {:<28} {:<24} {}",
        shown(&who),
        shown(&from),
        shown(&data),
        certainty(access)
    )?;
    if !access.relations.is_empty() {
        writeln!(out, "    read      {}", shown(&access.relations.join(", ")))?;
    }
    if !access.statement.is_empty() {
        let cut: String = access.statement.chars().take(TEXT_SQL).collect();
        let more = if cut.len() < access.statement.len() { "\u{2026}" } else { "" };
        writeln!(out, "    statement {}{more}", shown(&cut))?;
    }
    for glass in &access.glass {
        writeln!(out, "    why       {}", shown(&why(glass)))?;
    }
    let rows = access.rows.map(|r| format!(", {r} rows")).unwrap_or_default();
    writeln!(
        out,
        "    record    {} (leaf {}, node {}), {}{rows}",
        access.event, access.leaf, access.node, access.outcome
    )
}

/// One access as a CSV line (RFC 4180).
pub(crate) fn csv(out: &mut impl Write, access: &Access) -> io::Result<()> {
    let glass = |f: fn(&GlassReason) -> &str| access.glass.iter().map(f).collect::<Vec<_>>().join("; ");
    let cells = [
        access.time.clone(),
        access.who.principal.clone(),
        access.who.role.clone(),
        access.who.database_user.clone(),
        access.who.database.clone(),
        access.from.address.clone(),
        access.from.application_name.clone().unwrap_or_default(),
        access.classes.join(" "),
        access.relations.join(" "),
        access.certainty.as_str().to_owned(),
        access.reasons.join(" "),
        access.rows.map(|r| r.to_string()).unwrap_or_default(),
        access.outcome.clone(),
        glass(|g| &g.session),
        glass(|g| g.reason.as_deref().unwrap_or("")),
        glass(|g| g.note.as_deref().unwrap_or("")),
        access.glass.iter().map(opened).collect::<Vec<_>>().join("; "),
        access.statement.clone(),
        access.event.clone(),
        access.leaf.to_string(),
        access.node.clone(),
    ];
    let line: Vec<String> = cells.iter().map(|c| cell(c)).collect();
    write!(out, "{}\r\n", line.join(","))
}

/// One access as a JSON line, exactly as recorded.
pub(crate) fn json(out: &mut impl Write, access: &Access) -> io::Result<()> {
    serde_json::to_writer(&mut *out, access).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

fn certainty(access: &Access) -> String {
    let reasons = access.reasons.join(", ");
    match access.certainty {
        Certainty::Exact => "exact".to_owned(),
        Certainty::Bounded => named("bounded: one of a superset", &reasons),
        Certainty::Possibly => named("possibly: any patient of these relations", &reasons),
        Certainty::Refused => format!("refused {reasons}"),
        Certainty::Sought => "named in the statement, nothing released".to_owned(),
        Certainty::BreakGlass => "broke the glass".to_owned(),
    }
}

fn why(glass: &GlassReason) -> String {
    let mut text = format!("break-glass {}", glass.session);
    if let Some(reason) = &glass.reason {
        text.push_str(&format!(", {reason}"));
    }
    if let Some(note) = &glass.note {
        text.push_str(&format!(": {note}"));
    }
    let opened = opened(glass);
    if !opened.is_empty() {
        text.push_str(&format!(" (opened {opened})"));
    }
    text
}

/// The categories and labels that a session opened by name.
fn opened(glass: &GlassReason) -> String {
    let named = [("categories", &glass.categories), ("labels", &glass.labels)];
    let named = named.into_iter().filter(|(_, names)| !names.is_empty());
    named.map(|(what, names)| format!("{what} {}", names.join(" "))).collect::<Vec<_>>().join(", ")
}

fn named(name: &str, detail: &str) -> String {
    match (name, detail) {
        ("", "") => "-".to_owned(),
        (name, "") => name.to_owned(),
        (name, detail) => format!("{name} ({detail})"),
    }
}

/// Line breaks as spaces, other control characters (and those that turn the writing direction) as
/// escapes, so that no recorded text can write on the auditor's terminal.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if hostile(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

pub(super) fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    if formula || text.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
