//! Names taken apart into words: what discovery compares, since a schema says most of what it means in its names.

/// The words of a name in lower case, plural forms made singular: `visit_occurrences`, `VisitOccurrence` and
/// `VISIT-OCCURRENCE` are `visit`, `occurrence`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && after_lower) {
            finish(&mut out, &mut word);
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase() || c.is_numeric();
    }
    finish(&mut out, &mut word);
    out
}

fn finish(out: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        out.push(singular(std::mem::take(word)));
    }
}

/// English plurals as schemas use them; what is none stays as it is.
fn singular(word: String) -> String {
    const IRREGULAR: [(&str, &str); 5] = [
        ("diagnoses", "diagnosis"),
        ("analyses", "analysis"),
        ("people", "person"),
        ("persons", "person"),
        ("addresses", "address"),
    ];
    if let Some((_, one)) = IRREGULAR.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    let stem = |cut: usize| word.get(..word.len() - cut).unwrap_or(&word).to_owned();
    if word.len() > 4 && word.ends_with("ies") {
        return stem(3) + "y";
    }
    let kept = ["ss", "us", "is", "as", "os"];
    if word.len() > 3 && word.ends_with('s') && !kept.iter().any(|end| word.ends_with(end)) {
        return stem(1);
    }
    word
}

/// Words that say how a table is kept, not what is in it: `tbl_patient`, `dim_patient`.
const DECORATION: [&str; 8] = ["tbl", "tb", "t", "dim", "dwh", "emr", "ehr", "stg"];

/// The words of a relation's name without decoration.
pub(super) fn relation_words(name: &str) -> Vec<String> {
    let all = words(name);
    let bare: Vec<String> = all.iter().filter(|w| !DECORATION.contains(&w.as_str())).cloned().collect();
    if bare.is_empty() { all } else { bare }
}

/// A name in one form whatever its spelling: `PersonID` and `person_id` are `person_id`; a number at the end is
/// left out (`concept_id_1`).
pub(super) fn normal(name: &str) -> String {
    let mut words = words(name);
    while words.len() > 1 && words.last().is_some_and(|w| w.chars().all(|c| c.is_ascii_digit())) {
        words.pop();
    }
    words.join("_")
}

/// True when one of `these` is among the words.
pub(super) fn any(words: &[String], these: &[&str]) -> bool {
    words.iter().any(|w| these.contains(&w.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_whatever_their_spelling() {
        for name in ["visit_occurrences", "VisitOccurrence", "VISIT-OCCURRENCE", "visitOccurrence"] {
            assert_eq!(words(name), ["visit", "occurrence"], "{name}");
        }
        assert_eq!(words("allergies"), ["allergy"]);
        assert_eq!(words("diagnoses_icd"), ["diagnosis", "icd"]);
        assert_eq!(words("address status bus analysis"), ["address", "status", "bus", "analysis"]);
        assert_eq!(words("éCole_2"), ["é", "cole", "2"]);
        assert_eq!(words("\"\n."), Vec::<String>::new());
        assert_eq!(relation_words("tbl_patients"), ["patient"]);
        assert_eq!(normal("concept_id_1"), "concept_id");
        assert_eq!(normal("PersonId"), "person_id");
    }
}
