//! `[[table]]` entries as text: written out, or as comments where somebody has to look first.

use std::collections::BTreeMap;

use super::found::{Entry, Owner};
use super::paths::{KeySource, Way};
use super::schema::Source;
use super::text::{comment, name, shown, string, unusable};
use super::write::Writer;
use crate::policy::HipaaIdentifier;

/// Why an entry is written as a comment, if it is.
pub(super) fn why_not(writer: &Writer<'_>, entry: &Entry) -> Option<String> {
    let column = |t: usize, c: usize| writer.schema.tables[t].columns[c].name.as_str();
    let mut names: Vec<&str> = Vec::new();
    let mut relations = vec![entry.table];
    let mut look = |way: &Way| {
        names.push(column(way.key_table, way.key));
        relations.push(way.key_table);
        for hop in &way.hops {
            names.extend([column(hop.from, hop.column), column(hop.to, hop.references)]);
            relations.extend([hop.from, hop.to]);
        }
    };
    match &entry.owner {
        Owner::Way(way) => look(way),
        Owner::When { tells, ways } => {
            ways.iter().for_each(|(_, way)| look(way));
            names.push(column(entry.table, *tells));
        }
    }
    let unusable_name =
        names.iter().any(|n| unusable(n)) || relations.iter().any(|t| !writer.is_usable(writer.name_of(*t)));
    if unusable_name {
        return Some("a name in it is reserved or blank: rename it in the database".to_owned());
    }
    entry.doubt.clone()
}

/// Writes the entry; as comments when `commented`.
pub(super) fn write(writer: &mut Writer<'_>, entry: &Entry, commented: bool) {
    let mut lines: Vec<String> = vec!["[[table]]".to_owned()];
    let table = writer.name_of(entry.table).clone();
    lines.push(format!("name = {}", string(&name(&table))));
    let guess = if entry.class_guessed { "   # no name says what it is: choose a word" } else { "" };
    lines.push(format!("class = \"{}\"{guess}", entry.class.word()));
    match &entry.owner {
        Owner::Way(way) => lines.extend(way_lines(writer, way, None)),
        Owner::When { tells, ways } => {
            let tells = writer.schema.tables[entry.table].columns[*tells].name.clone();
            for (value, way) in ways {
                lines.push("[[table.when]]".to_owned());
                lines.push(format!("column = {}", string(&tells)));
                lines.push(format!("is = [{}]", string(value)));
                lines.extend(way_lines(writer, way, Some(entry.table)));
            }
        }
    }
    writer.line("");
    if commented {
        let why = why_not(writer, entry).unwrap_or_default();
        writer.say(&format!("{table}: {why}."));
    }
    for note in &entry.notes {
        writer.point(note);
    }
    let holds = identifiers(writer, entry.table);
    if !holds.is_empty() {
        writer.point(&format!("identifies people: {holds}"));
    }
    for line in lines {
        if commented {
            // A line that is taken out of its comment is TOML again.
            writer.line(&format!("# {line}"));
        } else {
            writer.line(&line);
        }
    }
}

/// `via` and `key`, each with where it comes from.
fn way_lines(writer: &Writer<'_>, way: &Way, pointer_of: Option<usize>) -> Vec<String> {
    let column = |t: usize, c: usize| writer.schema.tables[t].columns[c].name.as_str();
    let mut lines = Vec::new();
    let by = |source: Source| match source {
        Source::ForeignKey => "foreign key",
        Source::Name => "by name",
        Source::NameEnd => "by the end of its name",
    };
    let last = way.hops.len().saturating_sub(1);
    for (i, hop) in way.hops.iter().enumerate() {
        let many = if hop.many { ", many = true" } else { "" };
        let open = if i == 0 { "via = [" } else { "       " };
        let close = if i == last { "]" } else { "," };
        let source = if pointer_of == Some(hop.from) { "as the value says" } else { by(hop.source) };
        lines.push(format!(
            "{open}{{ column = {}, table = {}, references = {}{many} }}{close}   # {source}",
            string(column(hop.from, hop.column)),
            string(&name(writer.name_of(hop.to))),
            string(column(hop.to, hop.references)),
        ));
    }
    let source = match way.key_source {
        KeySource::Itself => String::new(),
        _ if !way.hops.is_empty() => String::new(),
        KeySource::Edge(source) => format!("   # {}", by(source)),
        KeySource::Word => "   # by its name and type alone".to_owned(),
        KeySource::ViewColumn => "   # by its name".to_owned(),
    };
    lines.push(format!("key = {}{source}", string(column(way.key_table, way.key))));
    lines
}

/// The columns that identify people, by what they hold: what a mask is for. Dates are in nearly every table.
fn identifiers(writer: &Writer<'_>, table: usize) -> String {
    let it = &writer.schema.tables[table];
    let is_key = |i: usize| it.key == Some(i) || writer.schema.edges[table].iter().any(|e| e.column == i);
    let mut found: BTreeMap<HipaaIdentifier, Vec<&str>> = BTreeMap::new();
    for (_, column) in it.columns.iter().enumerate().filter(|(i, _)| !is_key(*i)) {
        if let Some(what) = column.identifier.filter(|i| *i != HipaaIdentifier::Date) {
            found.entry(what).or_default().push(&column.name);
        }
    }
    let words: Vec<String> = found
        .iter()
        .map(|(what, columns)| {
            format!("{}: {}", what.describe().split(", which").next().unwrap_or_default(), columns.join(", "))
        })
        .collect();
    words.join("; ")
}

/// What to write for a table that nobody decided about yet.
pub(super) fn template(writer: &mut Writer<'_>, table: usize) {
    let it = writer.name_of(table).clone();
    if !writer.is_usable(&it) {
        writer.say("  Its name is reserved or blank: rename it in the database.");
        return;
    }
    let word = string(&name(&it));
    let key = writer.schema.tables[writer.found.patient.table].columns[writer.found.patient.key].name.clone();
    let lines = [
        format!("If it holds nothing of patients: add {word} to [reference]. Otherwise:"),
        "[[table]]".to_owned(),
        format!("name = {word}"),
        "class = \"other\"".to_owned(),
        format!(
            "key = {}   # its column with the patient key; or `via`, see docs/configuration.md",
            string(&key)
        ),
    ];
    let text: String = lines.iter().map(|l| comment(&shown(l), "")).collect();
    for line in text.lines() {
        writer.line(line);
    }
}
