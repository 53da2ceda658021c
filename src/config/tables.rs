//! `[[table]]`: what is protected, and how its rows belong to patients.

use std::collections::BTreeSet;

use toml::Spanned;

use super::categories;
use super::diagnostic::Findings;
use super::policy::{column, own_name, relation, required_column};
use super::reader::{Section, unknown};
use crate::catalog::QualifiedName;
use crate::policy::{Alternative, KeyPath, Path, Patients, RowCategory, Step, TableRule};

/// The protected tables, for checks that span sections. Names and classes include those of entries
/// with an error of their own, so that one mistake is not reported as several.
#[derive(Default)]
pub(super) struct Tables {
    rules: Vec<TableRule>,
    names: BTreeSet<QualifiedName>,
    classes: BTreeSet<String>,
    categories: BTreeSet<String>,
}

impl Tables {
    pub(super) fn rule(&self, name: &QualifiedName) -> Option<&TableRule> {
        self.rules.iter().find(|r| r.name == *name)
    }

    pub(super) fn into_rules(self) -> Vec<TableRule> {
        self.rules
    }

    pub(super) fn contains(&self, name: &QualifiedName) -> bool {
        self.names.contains(name)
    }

    pub(super) fn classes(&self) -> Vec<&str> {
        self.classes.iter().map(String::as_str).collect()
    }

    pub(super) fn rules(&self) -> &[TableRule] {
        &self.rules
    }

    pub(super) fn categories(&self) -> BTreeSet<String> {
        self.categories.clone()
    }

    /// Reports that `name` has no entry.
    pub(super) fn unknown(
        &self,
        findings: &mut Findings<'_>,
        span: std::ops::Range<usize>,
        what: &str,
        name: &QualifiedName,
    ) {
        let known: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        unknown(findings, span, what, &name.to_string(), &known);
    }
}

/// Reads every `[[table]]`.
pub(super) fn read(top: &mut Section<'_>, findings: &mut Findings<'_>) -> Tables {
    let mut tables = Tables::default();
    let span = top.key_span("table");
    let array = top.array(findings, "table");
    if array.is_none_or(|a| a.is_empty()) {
        findings.warning(
            span,
            "no [[table]] entry: nothing is protected",
            "add one for every relation whose rows belong to patients",
        );
    }
    for item in array.into_iter().flat_map(|a| a.iter()) {
        let mut s = Section::of(findings, "[[table]]".to_owned(), item);
        let name = relation(&mut s, findings, "name", "\"clinic.patient\"");
        let class = s.required(findings, "class", "\"demographics\"");
        if let Some(class) = &class {
            own_name(findings, "class", class);
            tables.classes.insert(class.get_ref().clone());
        }
        let second = name.as_ref().filter(|n| !tables.names.insert(n.get_ref().clone()));
        if let Some(name) = second {
            findings.error(name.span(), format!("{} has two [[table]] entries", name.get_ref()));
        }
        let second = second.is_some();
        let path = path(&mut s, findings);
        let patients = patients(&mut s, path.as_ref(), findings);
        let category = categories::of_rows(&mut s, findings);
        let column_categories = categories::of_columns(&mut s, path.as_ref(), findings);
        s.finish(findings);
        match &category {
            Some(RowCategory::Whole(name)) => _ = tables.categories.insert(name.clone()),
            Some(RowCategory::ByValue { values, .. }) => {
                tables.categories.extend(values.names.values().cloned());
            }
            None => {}
        }
        tables.categories.extend(column_categories.values().map(|c| c.category.clone()));
        let (Some(name), Some(class), Some(path)) = (name, class, path) else { continue };
        if !second {
            tables.rules.push(TableRule {
                name: name.into_inner(),
                class: class.into_inner(),
                path,
                patients,
                category,
                column_categories,
            });
        }
    }
    tables
}

/// `via` and `key`, or `[[table.when]]` entries with those.
fn path(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Path> {
    if s.take("when").is_none() {
        return key_path(s, findings).map(Path::One);
    }
    let span = s.key_span("when");
    for key in ["via", "key"] {
        if s.take(key).is_some() {
            findings.error_help(
                s.key_span(key),
                format!("`{key}` beside `when`: the alternatives have a `{key}` of their own"),
                "remove it",
            );
        }
    }
    let mut out: Vec<Alternative> = Vec::new();
    let mut whole = true;
    let mut taken = BTreeSet::new();
    for item in s.array(findings, "when")?.iter() {
        let mut a = Section::of(findings, "a [[table.when]]".to_owned(), item);
        let column = column(&mut a, findings, "column");
        if column.is_none() && a.take("column").is_none() {
            a.missing(findings, "column", "\"cost_domain_id\"");
        }
        let is = values(&mut a, findings);
        let path = key_path(&mut a, findings);
        a.finish(findings);
        let (Some(column), Some(is), Some(path)) = (column, is, path) else {
            whole = false;
            continue;
        };
        let at = column.span();
        if path.steps.is_empty() {
            findings.error_help(
                at.clone(),
                "an alternative needs `via`",
                "where the column holds the patient key itself, lead the way over the table of patients: \
                 via = [{ column = \"...\", table = \"the patients\", references = \"their key\" }]",
            );
        }
        for value in &is {
            if !taken.insert(value.get_ref().clone()) {
                findings.error(value.span(), format!("two alternatives for \"{}\"", value.get_ref()));
            }
        }
        if let Some(first) = out.first()
            && (first.column != *column.get_ref() || first.path.first_column() != path.first_column())
        {
            findings.error_help(
                at,
                "all alternatives of a table look at one `column` and begin with one column",
                "PostgreSQL compares the two with every alternative at once",
            );
        }
        let is = is.into_iter().map(Spanned::into_inner).collect();
        out.push(Alternative { column: column.into_inner(), is, path });
    }
    if out.is_empty() && whole {
        findings.error(span, "`when` has no alternative");
        return None;
    }
    whole.then_some(Path::When(out))
}

/// `is`: a word or a list of words.
fn values(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Vec<Spanned<String>>> {
    let example = "\"Visit\"";
    let span = s.key_span("is");
    if s.take("is").is_none() {
        s.missing(findings, "is", example);
        return None;
    }
    let values = s.words(findings, "is")?;
    if values.is_empty() {
        findings.error_help(span, "`is` has no value", format!("for example is = {example}"));
        return None;
    }
    Some(values)
}

fn key_path(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<KeyPath> {
    let steps = steps(s, findings);
    let key = required_column(s, findings, "key", "\"patient_id\"");
    Some(KeyPath { steps: steps?, key: key? })
}

fn patients(s: &mut Section<'_>, path: Option<&Path>, findings: &mut Findings<'_>) -> Patients {
    let word = s.choice(findings, "patients", &[("any", Patients::Any), ("all", Patients::All)]);
    let many = path.is_some_and(|p| match p {
        Path::One(path) => path.is_many(),
        Path::When(alternatives) => alternatives.iter().any(|a| a.path.is_many()),
    });
    if let (Some(word), Some(_), false) = (&word, path, many) {
        findings.warning(
            word.span(),
            "`patients` has no effect: a row of this table belongs to one patient",
            "remove it, or set many = true in the step that reaches several",
        );
    }
    word.map_or(Patients::Any, Spanned::into_inner)
}

fn steps(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Vec<Step>> {
    if s.take("via").is_none() {
        return Some(Vec::new());
    }
    let mut out = Vec::new();
    let mut whole = true;
    for item in s.array(findings, "via")?.iter() {
        let mut step = Section::of(findings, "a step of `via`".to_owned(), item);
        let column = required_column(&mut step, findings, "column", "\"order_id\"");
        let table = relation(&mut step, findings, "table", "\"clinic.lab_order\"");
        let references = required_column(&mut step, findings, "references", "\"order_id\"");
        let many = step.boolean(findings, "many", false);
        step.finish(findings);
        match (column, table, references) {
            (Some(column), Some(table), Some(references)) => {
                out.push(Step { column, table: table.into_inner(), references, many });
            }
            _ => whole = false,
        }
    }
    whole.then_some(out)
}
