//! What is wrong with a configuration file, and where: one value per finding, printed the way a
//! compiler does. It knows positions and texts, not what the keys mean.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is used as it stands; somebody should look.
    Warning,
    /// The configuration is not used.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// A place in the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself.
    pub text: String,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
}

impl Place {
    /// The place of a byte range of `source`; a range that goes over several lines is cut to its
    /// first. Ranges outside the text or inside a character are moved to the nearest that exists.
    pub fn of(source: &str, span: Range<usize>) -> Self {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end).max(start);
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let rest = source.get(line_start..).unwrap_or_default();
        let text = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let line_end = line_start + text.len();
        let chars = |range: Range<usize>| source.get(range).unwrap_or_default().chars().count();
        Self {
            line: before.matches('\n').count() + 1,
            column: chars(line_start..start) + 1,
            text: text.to_owned(),
            width: chars(start..end.min(line_end).max(start)).max(1),
        }
    }
}

fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where in the file; absent when the file could not be read.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}: {}", self.severity, self.message)?;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            // Tabs are kept in the padding so that the marks stand under what they mean.
            let pad: String = place
                .text
                .chars()
                .take(place.column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "\n  {number} | {}", place.text)?;
            write!(f, "\n  {} | {pad}{}", " ".repeat(number.len()), "^".repeat(place.width))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with one file. Never without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The errors, in file order.
    pub errors: Vec<Diagnostic>,
    /// The warnings that were found beside them.
    pub warnings: Vec<Diagnostic>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in self.errors.iter().chain(&self.warnings) {
            writeln!(f, "{diagnostic}")?;
        }
        let plural = if self.errors.len() == 1 { "" } else { "s" };
        write!(f, "{} error{plural} in the configuration", self.errors.len())
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects the findings of one file.
#[derive(Debug)]
pub(super) struct Findings<'s> {
    file: &'s Path,
    source: &'s str,
    found: Vec<(usize, Diagnostic)>,
}

impl<'s> Findings<'s> {
    pub(super) fn new(file: &'s Path, source: &'s str) -> Self {
        Self { file, source, found: Vec::new() }
    }

    fn push(&mut self, severity: Severity, span: Range<usize>, message: String, help: Option<String>) {
        let diagnostic = Diagnostic {
            severity,
            file: self.file.to_owned(),
            place: Some(Place::of(self.source, span.clone())),
            message,
            help,
        };
        self.found.push((span.start, diagnostic));
    }

    pub(super) fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.push(Severity::Error, span, message.into(), None);
    }

    pub(super) fn error_help(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, span, message.into(), Some(help.into()));
    }

    pub(super) fn warning(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Warning, span, message.into(), Some(help.into()));
    }

    /// Errors when there is one, otherwise the warnings; both in file order.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, ConfigErrors> {
        self.found.sort_by_key(|(start, _)| *start);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.found.into_iter().map(|(_, d)| d).partition(|d| d.severity == Severity::Error);
        if errors.is_empty() { Ok(warnings) } else { Err(ConfigErrors { errors, warnings }) }
    }
}

/// The candidate nearest to `word`, if one is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|c| (edit_distance(word, c), c))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// Levenshtein distance over characters, letter case ignored.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (a, b, d) in
            [("", "", 0), ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("Flaw", "lawn", 2)]
        {
            assert_eq!(edit_distance(a, b), d, "{a} {b}");
        }
    }

    #[test]
    fn places_count_characters_and_survive_any_range() {
        let source = "a = 1\nbé = \"x\"\r\n";
        let place = Place::of(source, 12..15);
        assert_eq!((place.line, place.column, place.text.as_str(), place.width), (2, 6, "bé = \"x\"", 3));
        for start in 0..source.len() + 3 {
            for end in 0..source.len() + 3 {
                assert!(Place::of(source, start..end).width >= 1);
            }
        }
    }

    #[test]
    fn only_slips_are_suggested() {
        assert_eq!(nearest("adress", ["address", "port"]), Some("address"));
        assert_eq!(nearest("colour", ["address", "port"]), None);
    }
}
