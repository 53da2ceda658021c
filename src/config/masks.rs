//! `[role.NAME.masks."schema.table"]` and `[masks]`: what is shown in place of a column's values.
//! Whether a mask fits its column's type is for the lint, which knows the database.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::Findings;
use super::policy::is_table;
use super::reader::{Section, qualified, unknown};
use super::tables::Tables;
use crate::catalog::QualifiedName;
use crate::policy::{Mask, MaskPreset, Masking, OutsideMasks, REDACTED, WITHHELD, zip3_small};

/// Masks by table and column.
pub(super) type Masks = BTreeMap<QualifiedName, BTreeMap<String, Mask>>;

/// What a role's masks are.
#[derive(Default)]
pub(super) struct RoleMasks {
    /// By table and column.
    pub(super) named: Masks,
    /// The rest.
    pub(super) masking: Masking,
    /// Where the masks of a table stand in the file.
    pub(super) places: Vec<(QualifiedName, Range<usize>)>,
    /// The same for masks of rows outside.
    pub(super) outside_places: Vec<(QualifiedName, Range<usize>)>,
}

/// What masks of every role have in common.
pub(super) struct MaskSettings {
    /// Three-digit ZIP areas that are shown as `000`.
    zip3_small: Arc<BTreeSet<String>>,
}

/// Reads `[masks]`.
pub(super) fn settings(top: &mut Section<'_>, findings: &mut Findings<'_>) -> MaskSettings {
    let mut s = top.section(findings, "masks");
    let small = match s.strings(findings, "zip3_small") {
        None => zip3_small(),
        Some(areas) => {
            if areas.is_empty() {
                let message = "`zip3_small` is empty: mask \"zip3\" shows every area";
                findings.warning(s.key_span("zip3_small"), message, "remove it for the list of the census");
            }
            for area in &areas {
                if area.get_ref().len() != 3 || !area.get_ref().bytes().all(|b| b.is_ascii_digit()) {
                    let message = format!("`{}` is no three-digit ZIP area", area.get_ref());
                    findings.error_help(area.span(), message, "for example \"036\"");
                }
            }
            Arc::new(areas.into_iter().map(Spanned::into_inner).collect())
        }
    };
    s.finish(findings);
    MaskSettings { zip3_small: small }
}

/// Reads the masks of a role.
pub(super) fn read(
    s: &mut Section<'_>,
    tables: &Tables,
    settings: &MaskSettings,
    findings: &mut Findings<'_>,
) -> RoleMasks {
    let mut out = RoleMasks::default();
    if s.choice(findings, "masks_preset", &[("safe_harbor", ())]).is_some() {
        out.masking.preset = Some(MaskPreset::SafeHarbor { zip3_small: Arc::clone(&settings.zip3_small) });
    }
    outside(s, tables, settings, findings, &mut out);
    out.masking.min_cell = s.integer(findings, "min_cell", 2..=10_000);
    let section = s.section(findings, "masks");
    for (name, value) in section.entries() {
        let Some(table) = qualified(findings, &name) else { continue };
        if !tables.contains(&table) {
            tables.unknown(findings, name.span(), "masks on a table without a [[table]] entry:", &table);
            continue;
        }
        let columns = Section::of(findings, format!("the masks of {table}"), value);
        let mut masks: BTreeMap<String, Mask> = BTreeMap::new();
        let mut clear = BTreeSet::new();
        for (column, value) in columns.entries() {
            if is_none(value) {
                clear.insert(column.into_inner());
            } else if let Some(mask) = mask(findings, value, tables, settings) {
                masks.insert(column.into_inner(), mask);
            }
        }
        if masks.is_empty() && clear.is_empty() {
            // Either an error was reported for each entry or there is none: then say so.
            findings.warning(name.span(), format!("no column of {table} is masked"), "name its columns");
            continue;
        }
        out.places.push((table.clone(), name.span()));
        let twice = out.named.contains_key(&table) || out.masking.clear.contains_key(&table);
        if twice {
            findings.error(name.span(), format!("the masks of {table} stand in two places"));
        }
        if !masks.is_empty() {
            out.named.insert(table.clone(), masks);
        }
        if !clear.is_empty() {
            out.masking.clear.insert(table, clear);
        }
    }
    out
}

/// Reads `[role.NAME.outside_masks."schema.table"]`.
fn outside(
    s: &mut Section<'_>,
    tables: &Tables,
    settings: &MaskSettings,
    findings: &mut Findings<'_>,
    out: &mut RoleMasks,
) {
    for (name, value) in s.section(findings, "outside_masks").entries() {
        let Some(table) = qualified(findings, &name) else { continue };
        if !tables.contains(&table) {
            tables.unknown(findings, name.span(), "masks on a table without a [[table]] entry:", &table);
            continue;
        }
        let mut masks = OutsideMasks::new();
        for (column, value) in Section::of(findings, format!("the outside_masks of {table}"), value).entries()
        {
            if is_none(value) {
                masks.insert(column.into_inner(), None);
            } else if let Some(mask) = mask(findings, value, tables, settings) {
                masks.insert(column.into_inner(), Some(mask));
            }
        }
        out.outside_places.push((table.clone(), name.span()));
        if out.masking.outside.insert(table.clone(), masks).is_some() {
            findings.error(name.span(), format!("the outside_masks of {table} stand in two places"));
        }
    }
}

fn is_none(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::String(word) if word == NONE)
}

/// Takes the mask of a preset off a column, or that of what the column is computed from.
const NONE: &str = "none";

const MASK_WORDS: [&str; 9] =
    ["null", "redact", "withhold", "partial", "zip3", "year", "age90", "birth_year", "surrogate"];

/// What stands beside the word of a mask.
#[derive(Default)]
struct Arguments {
    text: Option<Spanned<String>>,
    keep_last: Option<u32>,
    table: Option<Spanned<String>>,
    value: Option<Spanned<String>>,
    surrogate: Option<Spanned<String>>,
}

/// `"redact"` or `{ mask = "redact", text = "..." }`.
fn mask(
    findings: &mut Findings<'_>,
    value: &Spanned<DeValue<'_>>,
    tables: &Tables,
    settings: &MaskSettings,
) -> Option<Mask> {
    if !is_table(value) {
        let DeValue::String(word) = value.get_ref() else {
            findings.error_help(
                value.span(),
                "a mask is a word or a table",
                "for example \"redact\" or { mask = \"partial\", keep_last = 2 }",
            );
            return None;
        };
        return masked(findings, value.span(), word, Arguments::default(), tables, settings);
    }
    let mut s = Section::of(findings, "a mask".to_owned(), value);
    let word = s.required(findings, "mask", "\"partial\"");
    let arguments = Arguments {
        text: s.string(findings, "text"),
        keep_last: s.integer(findings, "keep_last", 1..=1_000),
        table: s.string(findings, "table"),
        value: s.string(findings, "value"),
        surrogate: s.string(findings, "surrogate"),
    };
    s.finish(findings);
    let word = word?;
    masked(findings, word.span(), word.get_ref(), arguments, tables, settings)
}

fn masked(
    findings: &mut Findings<'_>,
    span: Range<usize>,
    word: &str,
    arguments: Arguments,
    tables: &Tables,
    settings: &MaskSettings,
) -> Option<Mask> {
    let Arguments { text, keep_last, table, value, surrogate } = arguments;
    let strange = |findings: &mut Findings<'_>, key: &str, at: Range<usize>| {
        findings.error(at, format!("`{key}` does not belong to mask \"{word}\""));
    };
    if let Some(text) = text.as_ref().filter(|_| !matches!(word, "redact" | "withhold")) {
        strange(findings, "text", text.span());
    }
    if keep_last.is_some() && word != "partial" {
        strange(findings, "keep_last", span.clone());
    }
    for (key, given) in [("table", &table), ("value", &value), ("surrogate", &surrogate)] {
        if let Some(given) = given.as_ref().filter(|_| word != "surrogate") {
            strange(findings, key, given.span());
        }
    }
    let text = |default: &str| text.as_ref().map_or(default, |t| t.get_ref().as_str()).to_owned();
    match word {
        "null" => Some(Mask::Null),
        "redact" => Some(Mask::Redact { text: text(REDACTED) }),
        "withhold" => Some(Mask::Withhold { text: text(WITHHELD) }),
        "partial" => match keep_last {
            Some(keep) => u16::try_from(keep).ok().map(|keep_last| Mask::Partial { keep_last }),
            None => {
                findings.error_help(
                    span,
                    "mask \"partial\" needs `keep_last`",
                    "for example { mask = \"partial\", keep_last = 2 }",
                );
                None
            }
        },
        "zip3" => Some(Mask::Zip3 { small: Arc::clone(&settings.zip3_small) }),
        "year" => Some(Mask::Year),
        "age90" => Some(Mask::Age90),
        "birth_year" => Some(Mask::BirthYear),
        "surrogate" => {
            let (Some(table), Some(value), Some(surrogate)) = (table, value, surrogate) else {
                findings.error_help(
                    span,
                    "mask \"surrogate\" needs `table`, `value` and `surrogate`",
                    "for example { mask = \"surrogate\", table = \"glass.mrn_surrogate\", value = \"mrn\", \
                     surrogate = \"code\" }",
                );
                return None;
            };
            let name = qualified(findings, &table)?;
            if tables.contains(&name) {
                findings.error_help(
                    table.span(),
                    format!("{name} keeps surrogates and is a [[table]] too"),
                    "remove its [[table]] entry: clients of restricted roles never read it",
                );
            }
            let (value, surrogate) = (value.into_inner(), surrogate.into_inner());
            Some(Mask::Surrogate { table: name, value, surrogate })
        }
        other => {
            unknown(findings, span, "there is no mask", other, &MASK_WORDS);
            None
        }
    }
}
