//! Functions of well-known extensions that a role can be given without thought: they read no table, change nothing,
//! run no SQL text and do no more than compute a value from their arguments (and, of some, chance or the time). What
//! else an extension brings is for somebody to look at.

use std::collections::BTreeMap;

use crate::catalog::{QualifiedName, Survey};

/// By extension, as its source has them: contrib of PostgreSQL 14 to 18. Left out are what sets or shows a threshold
/// (`set_limit`), what compares by one (`similarity_op`), what decrypts, and what runs a query (`crosstab`).
const COMPUTING: [(&str, &[&str]); 5] = [
    (
        "fuzzystrmatch",
        &[
            "levenshtein",
            "levenshtein_less_equal",
            "soundex",
            "difference",
            "metaphone",
            "dmetaphone",
            "dmetaphone_alt",
            "daitch_mokotoff",
        ],
    ),
    ("pg_trgm", &["similarity", "word_similarity", "strict_word_similarity", "show_trgm"]),
    ("pgcrypto", &["digest", "hmac", "gen_random_uuid", "gen_random_bytes"]),
    ("unaccent", &["unaccent"]),
    (
        "uuid-ossp",
        &[
            "uuid_generate_v1",
            "uuid_generate_v1mc",
            "uuid_generate_v3",
            "uuid_generate_v4",
            "uuid_generate_v5",
            "uuid_nil",
            "uuid_ns_dns",
            "uuid_ns_url",
            "uuid_ns_oid",
            "uuid_ns_x500",
        ],
    ),
];

/// Those of them that are installed, by extension.
pub(super) fn computing(survey: &Survey) -> BTreeMap<&'static str, Vec<QualifiedName>> {
    let of = |(extension, names): &(&'static str, &[&str])| {
        let all = survey.extension_functions.get(*extension)?;
        let found: Vec<QualifiedName> =
            names.iter().flat_map(|n| all.iter().filter(move |f| f.name == *n)).cloned().collect();
        (!found.is_empty()).then_some((*extension, found))
    };
    COMPUTING.iter().filter_map(of).collect()
}
