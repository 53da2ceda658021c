//! The 18 identifiers of the Safe Harbor method (45 CFR 164.514(b)(2)(i)(A) to (R)), recognised by a
//! column's name and type, and the mask for each. Pure functions over the table in `hipaa/names.rs`.
//! Guesses: a name tells what a column is for, not what people wrote into it.

mod names;

use super::mask::without_modifier;
use super::{Mask, REDACTED, WITHHELD, zip3_small};
use names::{PATTERNS, Types};

/// What a column holds, as far as Safe Harbor cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HipaaIdentifier {
    /// (A) Names.
    Name,
    /// (B) Geographic units smaller than a state.
    Geography,
    /// (B) A ZIP code, of which three digits may stay.
    Zip,
    /// (C) Elements of dates but the year.
    Date,
    /// (C) A date of birth: the year may stay unless it tells an age over 89.
    BirthDate,
    /// (C) A year of birth.
    BirthYear,
    /// (C) An age: those over 89 become 90.
    Age,
    /// (D) Telephone numbers.
    Phone,
    /// (E) Fax numbers.
    Fax,
    /// (F) Electronic mail addresses.
    Email,
    /// (G) Social security numbers.
    SocialSecurity,
    /// (H) Medical record numbers.
    MedicalRecord,
    /// (I) Health plan beneficiary numbers.
    HealthPlan,
    /// (J) Account numbers.
    Account,
    /// (K) Certificate and licence numbers.
    Licence,
    /// (L) Vehicle identifiers and serial numbers.
    Vehicle,
    /// (M) Device identifiers and serial numbers.
    Device,
    /// (N) Web addresses.
    Url,
    /// (O) IP addresses.
    IpAddress,
    /// (P) Biometric identifiers.
    Biometric,
    /// (Q) Full-face photographs and the like.
    Photo,
    /// (R) Any other unique number, characteristic or code.
    Other,
    /// Free text and documents: any of the above can stand in them.
    FreeText,
}

impl HipaaIdentifier {
    /// The letter of the rule and its words, for people.
    pub fn describe(self) -> &'static str {
        match self {
            HipaaIdentifier::Name => "(A) name",
            HipaaIdentifier::Geography => "(B) geographic unit smaller than a state",
            HipaaIdentifier::Zip => "(B) ZIP code",
            HipaaIdentifier::Date => "(C) date",
            HipaaIdentifier::BirthDate => "(C) date of birth",
            HipaaIdentifier::BirthYear => "(C) year of birth",
            HipaaIdentifier::Age => "(C) age",
            HipaaIdentifier::Phone => "(D) telephone number",
            HipaaIdentifier::Fax => "(E) fax number",
            HipaaIdentifier::Email => "(F) e-mail address",
            HipaaIdentifier::SocialSecurity => "(G) social security number",
            HipaaIdentifier::MedicalRecord => "(H) medical record number",
            HipaaIdentifier::HealthPlan => "(I) health plan number",
            HipaaIdentifier::Account => "(J) account number",
            HipaaIdentifier::Licence => "(K) certificate or licence number",
            HipaaIdentifier::Vehicle => "(L) vehicle identifier",
            HipaaIdentifier::Device => "(M) device identifier",
            HipaaIdentifier::Url => "(N) web address",
            HipaaIdentifier::IpAddress => "(O) IP address",
            HipaaIdentifier::Biometric => "(P) biometric identifier",
            HipaaIdentifier::Photo => "(Q) photograph",
            HipaaIdentifier::Other => "(R) other unique identifier",
            HipaaIdentifier::FreeText => "free text, which can hold any identifier",
        }
    }
}

/// What the column of this name and type (as `format_type` prints it, a domain's base type) holds;
/// `None` when nothing in its name or type speaks for an identifier.
pub fn identifier_of(column_name: &str, type_sql: &str) -> Option<HipaaIdentifier> {
    let words = words(column_name);
    let class = Class::of(type_sql);
    let by_name = PATTERNS
        .iter()
        .filter(|(_, types, _)| class.is_among(*types))
        .find(|(_, _, patterns)| patterns.iter().any(|p| matches(&words, p)))
        .map(|(identifier, ..)| *identifier);
    match (by_name, class) {
        (Some(identifier), _) => Some(identifier),
        (None, Class::Date) => Some(HipaaIdentifier::Date),
        (None, Class::Address) => Some(HipaaIdentifier::IpAddress),
        (None, Class::Hardware) => Some(HipaaIdentifier::Device),
        (None, Class::Bytes | Class::Document) => Some(HipaaIdentifier::FreeText),
        (None, Class::Text | Class::Number | Class::Uuid | Class::Other) => None,
    }
}

/// The mask that Safe Harbor asks for; it fits the type.
pub fn mask_for(identifier: HipaaIdentifier, type_sql: &str) -> Mask {
    let redact = Mask::Redact { text: REDACTED.to_owned() };
    let wanted = match identifier {
        HipaaIdentifier::Zip => Mask::Zip3 { small: zip3_small() },
        HipaaIdentifier::Date => Mask::Year,
        HipaaIdentifier::BirthDate | HipaaIdentifier::Age => Mask::Age90,
        HipaaIdentifier::BirthYear => Mask::BirthYear,
        HipaaIdentifier::FreeText => Mask::Withhold { text: WITHHELD.to_owned() },
        HipaaIdentifier::IpAddress
        | HipaaIdentifier::Device
        | HipaaIdentifier::Biometric
        | HipaaIdentifier::Photo => Mask::Null,
        HipaaIdentifier::Name
        | HipaaIdentifier::Geography
        | HipaaIdentifier::Phone
        | HipaaIdentifier::Fax
        | HipaaIdentifier::Email
        | HipaaIdentifier::SocialSecurity
        | HipaaIdentifier::MedicalRecord
        | HipaaIdentifier::HealthPlan
        | HipaaIdentifier::Account
        | HipaaIdentifier::Licence
        | HipaaIdentifier::Vehicle
        | HipaaIdentifier::Url
        | HipaaIdentifier::Other => redact,
    };
    if wanted.misfit(type_sql).is_none() { wanted } else { Mask::Null }
}

/// What a type says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Number,
    /// Dates, timestamps, and ranges and arrays of them.
    Date,
    /// `json`, `xml`: documents.
    Document,
    Bytes,
    /// `inet`, `cidr`
    Address,
    /// `macaddr`
    Hardware,
    Uuid,
    Other,
}

impl Class {
    fn of(type_sql: &str) -> Class {
        // Of an array what its elements are.
        let element = type_sql.trim_end_matches("[]");
        match without_modifier(element) {
            "text" | "character varying" | "character" | "name" | "citext" => Class::Text,
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => Class::Number,
            "date" | "daterange" | "datemultirange" | "tsrange" | "tstzrange" | "tsmultirange"
            | "tstzmultirange" => Class::Date,
            t if t.starts_with("timestamp ") => Class::Date,
            "json" | "jsonb" | "xml" => Class::Document,
            "bytea" => Class::Bytes,
            "inet" | "cidr" => Class::Address,
            "macaddr" | "macaddr8" => Class::Hardware,
            "uuid" => Class::Uuid,
            t if t.ends_with(".citext") => Class::Text,
            _ => Class::Other,
        }
    }

    fn is_among(self, types: Types) -> bool {
        match types {
            Types::Any => self != Class::Date,
            Types::Text => matches!(self, Class::Text | Class::Document),
            Types::TextOrNumber => {
                matches!(self, Class::Text | Class::Document | Class::Number | Class::Uuid)
            }
            Types::Number => self == Class::Number,
            Types::Date => self == Class::Date,
        }
    }
}

/// `firstName`, `first_name` and `FIRST-NAME2` as lower-case words; digits stand alone.
fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for c in name.chars() {
        let starts = match before {
            Some(b) => {
                !b.is_alphanumeric()
                    || (b.is_lowercase() && c.is_uppercase())
                    || b.is_ascii_digit() != c.is_ascii_digit()
            }
            None => true,
        };
        if c.is_alphanumeric() {
            if starts {
                out.push(String::new());
            }
            if let Some(word) = out.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        before = Some(c);
    }
    out
}

/// True when the words of `pattern` stand in `words` one after the other, or all words run together are
/// the pattern run together. `=` before a pattern: it is the whole name; `$` after it: its end.
fn matches(words: &[String], pattern: &str) -> bool {
    let (whole, pattern) = pattern.strip_prefix('=').map_or((false, pattern), |rest| (true, rest));
    let (end, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |rest| (true, rest));
    let wanted: Vec<&str> = pattern.split(' ').collect();
    let digits = words.iter().rev().take_while(|w| w.bytes().all(|b| b.is_ascii_digit())).count();
    let named = words.get(..words.len() - digits).unwrap_or_default();
    let same = |(word, wanted): (&String, &&str)| {
        word == wanted || word.strip_suffix('s').is_some_and(|singular| singular == *wanted)
    };
    let here = |at: &[String]| at.len() == wanted.len() && at.iter().zip(&wanted).all(same);
    if named.concat() == wanted.concat() {
        return true;
    }
    match (whole, end) {
        (true, _) => here(named),
        (false, true) => {
            named.len().checked_sub(wanted.len()).and_then(|at| named.get(at..)).is_some_and(here)
        }
        (false, false) => words.windows(wanted.len()).any(here),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use HipaaIdentifier as I;

    #[test]
    fn columns_are_recognised_by_name_and_type() {
        for (name, t, expected) in [
            ("first_name", "text", Some(I::Name)),
            ("lastName", "character varying(80)", Some(I::Name)),
            ("name", "text", Some(I::Name)),
            ("concept_name", "text", None),
            ("drug_name", "text", None),
            ("gender_concept_id", "integer", None),
            ("street_address_2", "text", Some(I::Geography)),
            ("address1", "text", Some(I::Geography)),
            ("city", "text", Some(I::Geography)),
            ("county", "character varying(20)", Some(I::Geography)),
            ("state", "character(2)", None),
            ("country_concept_id", "integer", None),
            ("latitude", "numeric", Some(I::Geography)),
            ("zip", "character varying(9)", Some(I::Zip)),
            ("postal_code", "text", Some(I::Zip)),
            ("birth_date", "date", Some(I::BirthDate)),
            ("dob", "date", Some(I::BirthDate)),
            ("birth_datetime", "timestamp without time zone", Some(I::BirthDate)),
            ("year_of_birth", "integer", Some(I::BirthYear)),
            ("day_of_birth", "integer", Some(I::Date)),
            ("visit_start_date", "date", Some(I::Date)),
            ("stay", "daterange", Some(I::Date)),
            ("taken_at", "timestamp(3) with time zone", Some(I::Date)),
            ("age", "integer", Some(I::Age)),
            ("age_at_admission", "numeric(4,1)", Some(I::Age)),
            ("page", "integer", None),
            ("home_phone", "text", Some(I::Phone)),
            ("phone", "bigint", Some(I::Phone)),
            ("fax", "text", Some(I::Fax)),
            ("e_mail", "text", Some(I::Email)),
            ("emails", "text[]", Some(I::Email)),
            ("ssn", "text", Some(I::SocialSecurity)),
            ("mrn", "text", Some(I::MedicalRecord)),
            ("person_source_value", "character varying(50)", Some(I::MedicalRecord)),
            ("condition_source_value", "character varying(50)", None),
            ("insurance_member_id", "text", Some(I::HealthPlan)),
            ("account_number", "text", Some(I::Account)),
            ("driver_license", "text", Some(I::Licence)),
            ("npi", "character varying(20)", Some(I::Licence)),
            ("vin", "text", Some(I::Vehicle)),
            ("device_serial_number", "text", Some(I::Device)),
            ("unique_device_id", "text", Some(I::Device)),
            ("nic", "macaddr", Some(I::Device)),
            ("portal_url", "text", Some(I::Url)),
            ("last_login_from", "inet", Some(I::IpAddress)),
            ("fingerprint", "bytea", Some(I::Biometric)),
            ("photo", "bytea", Some(I::Photo)),
            ("note_text", "text", Some(I::FreeText)),
            ("comments", "text", Some(I::FreeText)),
            ("payload", "jsonb", Some(I::FreeText)),
            // HL7 FHIR and v2, OpenMRS, Synthea, DICOM, i2b2, OMOP, MIMIC.
            ("family", "text", Some(I::Name)),
            ("given", "text[]", Some(I::Name)),
            ("given_name", "text", Some(I::Name)),
            ("familyName2", "text", Some(I::Name)),
            ("name_family", "text", Some(I::Name)),
            ("first", "character varying(40)", Some(I::Name)),
            ("LAST", "text", Some(I::Name)),
            ("maiden", "text", Some(I::Name)),
            ("pat_lname", "text", Some(I::Name)),
            ("mothers_maiden_name", "text", Some(I::Name)),
            ("PatientName", "text", Some(I::Name)),
            ("patientname", "text", Some(I::Name)),
            ("ReferringPhysicianName", "text", Some(I::Name)),
            ("PatientID", "text", Some(I::MedicalRecord)),
            ("patient_id", "bigint", None),
            ("patient_id_type", "text", None),
            ("AccessionNumber", "character varying(16)", Some(I::MedicalRecord)),
            ("StudyInstanceUID", "text", Some(I::Other)),
            ("PatientAge", "character(4)", Some(I::Age)),
            ("PatientBirthDate", "text", Some(I::Date)),
            ("patient_ide", "character varying(200)", Some(I::MedicalRecord)),
            ("statecityzip_path", "text", Some(I::Geography)),
            ("observation_blob", "text", Some(I::FreeText)),
            ("telecom", "jsonb", Some(I::Phone)),
            ("line", "text[]", Some(I::Geography)),
            ("line", "integer", None),
            ("identifier", "text", Some(I::MedicalRecord)),
            ("lexical_variant", "text", Some(I::FreeText)),
            ("family_member_count", "integer", None),
            ("last_seen_by", "text", None),
            ("first_line_therapy", "text", None),
            ("given_at", "timestamp with time zone", Some(I::Date)),
            ("prefix_code", "text", None),
            ("blood_group", "text", None),
            ("subject_id", "integer", Some(I::Other)),
            ("value_as_number", "numeric", None),
            ("unit", "text", None),
            ("", "text", None),
        ] {
            assert_eq!(identifier_of(name, t), expected, "{name} {t}");
        }
    }

    #[test]
    fn proposed_masks_fit_their_types() {
        let types = [
            "text",
            "character(5)",
            "integer",
            "numeric(1,1)",
            "numeric",
            "date",
            "timestamp(0) without time zone",
            "timestamp with time zone",
            "daterange",
            "jsonb",
            "xml",
            "bytea",
            "inet",
            "macaddr",
            "uuid",
            "text[]",
            "clinic.sex",
            "boolean",
        ];
        for (identifier, ..) in PATTERNS {
            for t in types {
                assert_eq!(mask_for(*identifier, t).misfit(t), None, "{identifier:?} {t}");
            }
        }
        assert_eq!(mask_for(I::Zip, "integer"), Mask::Null);
        assert_eq!(mask_for(I::BirthDate, "date"), Mask::Age90);
    }
}
