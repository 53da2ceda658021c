//! Reading one TOML table key by key: what is not asked for is an unknown key, what has the wrong
//! type is an error with its place. It knows TOML, not the meaning of any key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnostic::{Findings, nearest};
use super::units;
use crate::catalog::QualifiedName;

/// A table being read.
pub(super) struct Section<'t> {
    /// How the table is named in messages: `[listen]`, `[role.nurse]`.
    pub(super) name: String,
    /// Where it starts.
    pub(super) span: Range<usize>,
    table: Option<&'t DeTable<'t>>,
    asked: Vec<&'static str>,
}

/// The word for a value's type in messages.
fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

impl<'t> Section<'t> {
    pub(super) fn new(name: impl Into<String>, span: Range<usize>, table: &'t DeTable<'t>) -> Self {
        Self { name: name.into(), span, table: Some(table), asked: Vec::new() }
    }

    /// The value of a key, whatever its type.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.and_then(|t| t.get(key))
    }

    /// Where the key stands, or the section if it is absent.
    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        self.table.and_then(|t| t.get_key_value(key)).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    /// Every entry in file order, for tables whose keys are names; there are no unknown keys then.
    pub(super) fn entries(mut self) -> Vec<(Spanned<String>, &'t Spanned<DeValue<'t>>)> {
        let Some(table) = self.table.take() else { return Vec::new() };
        let mut entries: Vec<_> =
            table.iter().map(|(k, v)| (Spanned::new(k.span(), k.get_ref().to_string()), v)).collect();
        entries.sort_by_key(|(k, _)| k.span().start);
        entries
    }

    /// A sub-table, or an empty one at the same place when it is absent or no table.
    pub(super) fn section(&mut self, findings: &mut Findings<'_>, key: &'static str) -> Section<'t> {
        let name = self.child_name(key);
        match self.take(key) {
            None => Section { name, span: self.span.clone(), table: None, asked: Vec::new() },
            Some(value) => Section::of(findings, name, value),
        }
    }

    fn child_name(&self, key: &str) -> String {
        if self.name.is_empty() {
            format!("[{key}]")
        } else {
            format!("{}.{key}]", self.name.trim_end_matches(']'))
        }
    }

    /// The value as a table; an error and an empty table when it is something else.
    pub(super) fn of(
        findings: &mut Findings<'_>,
        name: String,
        value: &'t Spanned<DeValue<'t>>,
    ) -> Section<'t> {
        let table = match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                findings.error(value.span(), format!("{name} must be a table, not {}", type_word(other)));
                None
            }
        };
        Section { name, span: value.span(), table, asked: Vec::new() }
    }

    /// Reports that a key is missing.
    pub(super) fn missing(&self, findings: &mut Findings<'_>, key: &str, example: &str) {
        let message = if self.table.is_some() {
            format!("{} has no `{key}`", self.name)
        } else {
            format!("{} with its `{key}` is missing", self.name)
        };
        findings.error_help(self.span.clone(), message, format!("for example: {key} = {example}"));
    }

    /// A string.
    pub(super) fn string(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
    ) -> Option<Spanned<String>> {
        let value = self.take(key)?;
        string_value(findings, key, value)
    }

    /// A string that must be there and not empty; `example` is shown when it is not.
    pub(super) fn required(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Spanned<String>> {
        let Some(value) = self.take(key) else {
            self.missing(findings, key, example);
            return None;
        };
        string_value(findings, key, value)
    }

    /// A string that is parsed to something; `expects` completes "must be ...".
    pub(super) fn parsed<T>(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
        expects: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let text = self.string(findings, key)?;
        match parse(text.get_ref()) {
            Some(value) => Some(Spanned::new(text.span(), value)),
            None => {
                findings.error(text.span(), format!("`{key}` must be {expects}"));
                None
            }
        }
    }

    /// A duration of at least `least`, or the default.
    pub(super) fn duration(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
        least: Duration,
        default: Duration,
    ) -> Duration {
        let expects = "a whole number with a unit: \"250ms\", \"30s\", \"60min\", \"12h\", \"7d\"";
        let Some(value) = self.parsed(findings, key, expects, units::duration) else { return default };
        if *value.get_ref() < least {
            findings.error(value.span(), format!("`{key}` must be at least {} ms", least.as_millis()));
            return default;
        }
        value.into_inner()
    }

    /// A number of bytes of at least `least`, or the default.
    pub(super) fn size(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
        least: u64,
        default: u64,
    ) -> u64 {
        let expects = "a whole number with a unit: \"512KiB\", \"64MiB\", \"2GiB\"";
        let Some(value) = self.parsed(findings, key, expects, units::size) else { return default };
        if *value.get_ref() < least {
            findings.error(value.span(), format!("`{key}` must be at least {least} bytes"));
            return default;
        }
        value.into_inner()
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let text = self.string(findings, key)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| word == text.get_ref()) {
            return Some(Spanned::new(text.span(), *value));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        unknown(findings, text.span(), &format!("`{key}` cannot be"), text.get_ref(), &words);
        None
    }

    /// An integer in `range`, or the default.
    pub(super) fn integer(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let value = self.take(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            let word = type_word(value.get_ref());
            findings.error(value.span(), format!("`{key}` must be an integer, not {word}"));
            return None;
        };
        match u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| range.contains(n)) {
            Some(n) => Some(n),
            None => {
                let (low, high) = (range.start(), range.end());
                findings.error(value.span(), format!("`{key}` must be between {low} and {high}"));
                None
            }
        }
    }

    /// A boolean, or the default.
    pub(super) fn boolean(&mut self, findings: &mut Findings<'_>, key: &'static str, default: bool) -> bool {
        match self.take(key).map(|v| (v.span(), v.get_ref())) {
            None => default,
            Some((_, DeValue::Boolean(b))) => *b,
            Some((span, other)) => {
                findings.error(span, format!("`{key}` must be true or false, not {}", type_word(other)));
                default
            }
        }
    }

    /// An array of values.
    pub(super) fn array(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
    ) -> Option<&'t DeArray<'t>> {
        let value = self.take(key)?;
        match value.get_ref() {
            DeValue::Array(array) => Some(array),
            other => {
                findings.error(value.span(), format!("`{key}` must be an array, not {}", type_word(other)));
                None
            }
        }
    }

    /// An array of distinct, non-empty strings; `None` when the key is absent.
    pub(super) fn strings(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
    ) -> Option<Vec<Spanned<String>>> {
        let array = self.array(findings, key)?;
        let mut seen: BTreeMap<String, ()> = BTreeMap::new();
        let mut out = Vec::new();
        for item in array.iter() {
            let Some(text) = string_value(findings, key, item) else { continue };
            if seen.insert(text.get_ref().clone(), ()).is_some() {
                findings.error(text.span(), format!("`{key}` names `{}` twice", text.get_ref()));
                continue;
            }
            out.push(text);
        }
        Some(out)
    }

    /// A string, or an array as of [`Section::strings`].
    pub(super) fn words(
        &mut self,
        findings: &mut Findings<'_>,
        key: &'static str,
    ) -> Option<Vec<Spanned<String>>> {
        match self.take(key)?.get_ref() {
            DeValue::Array(_) => self.strings(findings, key),
            _ => self.string(findings, key).map(|word| vec![word]),
        }
    }

    /// Reports every key that was not asked for.
    pub(super) fn finish(self, findings: &mut Findings<'_>) {
        let Some(table) = self.table else { return };
        for key in table.keys() {
            let word = key.get_ref().as_ref();
            if self.asked.contains(&word) {
                continue;
            }
            let place = if self.name.is_empty() { "the file".to_owned() } else { self.name.clone() };
            let message = format!("unknown key `{word}` in {place}");
            let help = match nearest(word, self.asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", self.asked.join(", ")),
            };
            findings.error_help(key.span(), message, help);
        }
    }
}

fn string_value(
    findings: &mut Findings<'_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Option<Spanned<String>> {
    let DeValue::String(text) = value.get_ref() else {
        let word = type_word(value.get_ref());
        findings.error(value.span(), format!("`{key}` must be a string, not {word}"));
        return None;
    };
    if text.trim().is_empty() || text.contains('\0') {
        findings.error(value.span(), format!("`{key}` must not be empty or contain a NUL"));
        return None;
    }
    Some(Spanned::new(value.span(), text.to_string()))
}

/// Reports `{what} `word``, with the nearest of the known words or all of them.
pub(super) fn unknown(
    findings: &mut Findings<'_>,
    span: Range<usize>,
    what: &str,
    word: &str,
    known: &[&str],
) {
    let help = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? known: {}", known.join(", ")),
        None if known.is_empty() => "none is defined in this file".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    findings.error_help(span, format!("{what} `{word}`"), help);
}

/// Splits `schema.name`, each part optionally in double quotes (`clinic."Lab.Result"`), letter case
/// kept: names are written as the catalog stores them. `parts` is how many there must be.
pub(super) fn split_name(text: &str, parts: usize) -> Option<Vec<String>> {
    let mut out = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let part = out.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            '"' if quoted => {
                quoted = false;
                if chars.peek().is_some_and(|c| *c != '.') {
                    return None;
                }
            }
            '"' if part.is_empty() => quoted = true,
            '.' if !quoted => out.push(String::new()),
            c => part.push(c),
        }
    }
    (!quoted && out.len() == parts && out.iter().all(|p| !p.is_empty())).then_some(out)
}

/// A relation or function name, `schema.name`.
pub(super) fn qualified(findings: &mut Findings<'_>, text: &Spanned<String>) -> Option<QualifiedName> {
    let word = text.get_ref();
    match split_name(word, 2).as_deref() {
        Some([schema, name]) => Some(QualifiedName::new(schema.as_str(), name.as_str())),
        _ => {
            let help = match split_name(word, 1) {
                Some(_) => format!("write the schema too, for example `public.{word}`"),
                None => "for example `clinic.patient` or `clinic.\"Lab Result\"`".to_owned(),
            };
            findings.error_help(text.span(), format!("`{word}` is no schema-qualified name"), help);
            None
        }
    }
}

/// A column name with its relation, `schema.name.column`.
pub(super) fn qualified_column(
    findings: &mut Findings<'_>,
    text: &Spanned<String>,
) -> Option<(QualifiedName, String)> {
    match split_name(text.get_ref(), 3).as_deref() {
        Some([schema, name, column]) => {
            Some((QualifiedName::new(schema.as_str(), name.as_str()), column.clone()))
        }
        _ => {
            findings.error_help(
                text.span(),
                format!("`{}` is no column of a schema-qualified relation", text.get_ref()),
                "for example `clinic.patient.mrn`",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_at_unquoted_dots() {
        let parts = |t: &str, n: usize| split_name(t, n).map(|p| p.join("|"));
        assert_eq!(parts("clinic.patient", 2).as_deref(), Some("clinic|patient"));
        assert_eq!(parts("clinic.\"Lab.Result\"", 2).as_deref(), Some("clinic|Lab.Result"));
        assert_eq!(parts("\"a\"\"b\".c", 2).as_deref(), Some("a\"b|c"));
        for bad in ["patient", "a.b.c", ".a", "a.", "\"a.b", "a.\"b\"c", ""] {
            assert_eq!(parts(bad, 2), None, "{bad}");
        }
    }
}
