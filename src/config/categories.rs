//! Sensitive data: `category` and `column_categories` of a `[[table]]`, `[[label]]`, and what roles and
//! break-glass profiles say of them. Whether the columns exist is for the binding, which knows the database.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::Findings;
use super::policy::{column, is_table, own_name, relation, required_column};
use super::reader::{Section, unknown};
use super::tables::Tables;
use crate::policy::{ColumnCategory, Labels, Mask, Path, REDACTED, RowCategory, Seen, Values, WITHHELD};

/// What `categories` and `labels` of a role say for all of them.
const ALL: &str = "all";

/// A name of a category or label.
fn name(findings: &mut Findings<'_>, what: &str, name: &Spanned<String>) {
    own_name(findings, what, name);
    if name.get_ref() == ALL {
        let message = format!("no {what} can be called `all`");
        findings.error_help(name.span(), message, "the word stands for all of them");
    }
}

/// `category`: a name for every row, or a table that says which column tells.
pub(super) fn of_rows(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<RowCategory> {
    let value = s.take("category")?;
    if !is_table(value) {
        let word = s.required(findings, "category", "\"PSY\"")?;
        name(findings, "category", &word);
        return Some(RowCategory::Whole(word.into_inner()));
    }
    let mut c = Section::of(findings, format!("`category` of {}", s.name), value);
    let column = required_column(&mut c, findings, "column", "\"sensitivity\"");
    let values = values(&mut c, "category", findings);
    let null = c.choice(findings, "null", &[("none", true), ("closed", false)]);
    c.finish(findings);
    let null_is_none = null.is_none_or(Spanned::into_inner);
    Some(RowCategory::ByValue { column: column?, values: values?, null_is_none })
}

/// `values` (a value to the name that it stands for) and `none` (values that stand for nothing).
fn values(s: &mut Section<'_>, what: &str, findings: &mut Findings<'_>) -> Option<Values> {
    let span = s.key_span("values");
    if s.take("values").is_none() {
        let message = format!("{} has no `values`", s.name);
        findings.error_help(span, message, format!("each value with its {what}: values = {{ P = \"PSY\" }}"));
        return None;
    }
    let mut out = Values::default();
    let mut whole = true;
    for (value, named) in s.section(findings, "values").entries() {
        let DeValue::String(word) = named.get_ref() else {
            findings.error_help(
                named.span(),
                format!("the {what} of `{}` is no text", value.get_ref()),
                "for example values = { P = \"PSY\" }",
            );
            whole = false;
            continue;
        };
        name(findings, what, &Spanned::new(named.span(), word.to_string()));
        out.names.insert(value.into_inner(), word.to_string());
    }
    for value in s.array(findings, "none").into_iter().flat_map(|a| a.iter()) {
        // An empty text is a value, too.
        let DeValue::String(text) = value.get_ref() else {
            findings.error_help(value.span(), "a value of `none` is no text", "for example none = [\"N\"]");
            continue;
        };
        if out.names.contains_key(text.as_ref()) {
            let message = format!("`{text}` stands for a {what} and for none");
            findings.error_help(value.span(), message, "remove one of the two");
        }
        out.none.insert(text.to_string());
    }
    whole.then_some(out)
}

/// `column_categories`: a column to its category, with what is shown in its place.
pub(super) fn of_columns(
    s: &mut Section<'_>,
    path: Option<&Path>,
    findings: &mut Findings<'_>,
) -> BTreeMap<String, ColumnCategory> {
    const MASKS: [(&str, ()); 3] = [("null", ()), ("redact", ()), ("withhold", ())];
    let mut out = BTreeMap::new();
    if s.take("column_categories").is_none() {
        return out;
    }
    let owner = |column: &str| match path {
        Some(Path::One(path)) => path.first_column() == column,
        Some(Path::When(ways)) => ways.iter().any(|a| a.column == column || a.path.first_column() == column),
        None => false,
    };
    for (column, value) in s.section(findings, "column_categories").entries() {
        let mut mask = Mask::Null;
        let category = match value.get_ref() {
            DeValue::String(word) => Some(Spanned::new(value.span(), word.to_string())),
            _ => {
                let mut c = Section::of(findings, format!("the category of `{}`", column.get_ref()), value);
                let category = c.required(findings, "category", "\"HIV\"");
                let word = c.string(findings, "mask").map(|w| w.into_inner());
                let known = c.choice(findings, "mask", &MASKS).is_some();
                mask = match word.as_deref().filter(|_| known) {
                    Some("redact") => Mask::Redact { text: REDACTED.to_owned() },
                    Some("withhold") => Mask::Withhold { text: WITHHELD.to_owned() },
                    Some(_) | None => Mask::Null,
                };
                c.finish(findings);
                category
            }
        };
        let Some(category) = category else { continue };
        name(findings, "category", &category);
        if owner(column.get_ref()) {
            findings.error_help(
                column.span(),
                format!("`{}` tells whose a row is; it cannot have a category", column.get_ref()),
                "give the rows a category instead",
            );
        }
        out.insert(column.into_inner(), ColumnCategory { category: category.into_inner(), mask });
    }
    out
}

/// Reads every `[[label]]`.
pub(super) fn labels(top: &mut Section<'_>, findings: &mut Findings<'_>) -> Vec<Labels> {
    let mut out: Vec<Labels> = Vec::new();
    if top.take("label").is_none() {
        return out;
    }
    for item in top.array(findings, "label").into_iter().flat_map(|a| a.iter()) {
        let mut s = Section::of(findings, "[[label]]".to_owned(), item);
        let relation = relation(&mut s, findings, "relation", "\"clinic.patient_label\"");
        let patient = required_column(&mut s, findings, "patient", "\"patient_id\"");
        let span = s.key_span("column");
        let column = column(&mut s, findings, "column");
        if column.is_none() && s.take("column").is_none() {
            s.missing(findings, "column", "\"label\"");
        }
        let values = values(&mut s, "label", findings);
        s.finish(findings);
        let (Some(relation), Some(patient), Some(column), Some(values)) = (relation, patient, column, values)
        else {
            continue;
        };
        let (relation, column) = (relation.into_inner(), column.into_inner());
        if patient == column {
            findings.error(
                span.clone(),
                "`column` and `patient` are the same: one has the label, the other the key",
            );
        }
        if out.iter().any(|l| l.relation == relation && l.column == column) {
            findings.error(span, format!("two [[label]] entries read {relation}.{column}"));
        }
        out.push(Labels { relation, patient, column, values });
    }
    out
}

/// The names that the tables and `[[label]]` entries know.
pub(super) struct Known {
    categories: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Known {
    pub(super) fn of(tables: &Tables, labels: &[Labels]) -> Self {
        Known {
            categories: tables.categories(),
            labels: labels.iter().flat_map(|l| l.values.names.values().cloned()).collect(),
        }
    }
}

/// Which of the two, in messages.
struct Kind<'k> {
    key: &'static str,
    none: &'static str,
    known: &'k BTreeSet<String>,
}

impl Known {
    fn kinds(&self) -> [Kind<'_>; 2] {
        [
            Kind { key: "categories", none: "no [[table]] has category", known: &self.categories },
            Kind { key: "labels", none: "no [[label]] has label", known: &self.labels },
        ]
    }

    /// `categories` and `labels` of a role.
    pub(super) fn seen(&self, s: &mut Section<'_>, findings: &mut Findings<'_>) -> [Seen; 2] {
        self.kinds().map(|kind| {
            let words = s.words(findings, kind.key).unwrap_or_default();
            if let [one] = words.as_slice()
                && one.get_ref() == ALL
            {
                return Seen::All;
            }
            Seen::Only(kind.names(words, findings))
        })
    }

    /// `categories` and `labels` of a break-glass profile.
    pub(super) fn openable(&self, s: &mut Section<'_>, findings: &mut Findings<'_>) -> [BTreeSet<String>; 2] {
        self.kinds().map(|kind| {
            let words = s.strings(findings, kind.key).unwrap_or_default();
            kind.names(words, findings)
        })
    }
}

impl Kind<'_> {
    fn names(&self, words: Vec<Spanned<String>>, findings: &mut Findings<'_>) -> BTreeSet<String> {
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        for word in words.iter().filter(|w| !self.known.contains(w.get_ref())) {
            unknown(findings, word.span(), self.none, word.get_ref(), &known);
        }
        words.into_iter().map(Spanned::into_inner).collect()
    }
}
