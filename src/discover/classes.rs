//! What a table is about, guessed from the words of its name: the class that roles may be limited to.

use super::schema::Table;
use super::words::any;

/// A class of tables, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Demographics,
    Visits,
    Problems,
    Allergies,
    Procedures,
    Labs,
    Vitals,
    Medication,
    Immunizations,
    Devices,
    Imaging,
    Notes,
    Death,
    Financial,
    Research,
    Other,
}

/// Words of names, the more telling classes first: of `medication_order` the medication says more than the order.
const WORDS: [(Class, &[&str]); 15] = [
    (Class::Allergies, &["allergy", "allergyintolerance", "intolerance", "allergen"]),
    (Class::Immunizations, &["immunization", "immunisation", "vaccination", "vaccine"]),
    (Class::Imaging, &["imaging", "radiology", "xray", "scan", "dicom", "image"]),
    (Class::Devices, &["device", "implant", "equipment", "supply"]),
    (
        Class::Financial,
        &[
            "cost",
            "claim",
            "bill",
            "billing",
            "charge",
            "payment",
            "payer",
            "invoice",
            "insurance",
            "coverage",
            "financial",
            "account",
            "drg",
            "drgcode",
            "reimbursement",
            "eob",
            "copay",
            "hcpcsevent",
            "cpt",
            "explanationofbenefit",
        ],
    ),
    (Class::Death, &["death", "mortality", "deceased", "autopsy"]),
    (
        Class::Notes,
        &[
            "note",
            "document",
            "documentreference",
            "letter",
            "narrative",
            "report",
            "nlp",
            "summary",
            "dictation",
            "comment",
            "message",
            "communication",
            "composition",
        ],
    ),
    (Class::Procedures, &["procedure", "procedureevent", "surgery", "operation", "treatment", "therapy"]),
    (
        Class::Labs,
        &[
            "lab",
            "labevent",
            "laboratory",
            "measurement",
            "observation",
            "specimen",
            "result",
            "microbiology",
            "microbiologyevent",
            "test",
            "sample",
            "analyte",
            "pathology",
            "omr",
            "obs",
            "diagnosticreport",
        ],
    ),
    (Class::Vitals, &["vital", "chartevent", "datetimeevent", "outputevent", "flowsheet", "monitoring"]),
    (
        Class::Medication,
        &[
            "drug",
            "medication",
            "medicationrequest",
            "prescription",
            "pharmacy",
            "emar",
            "mar",
            "dose",
            "dispense",
            "inputevent",
            "ingredientevent",
            "infusion",
            "rx",
            "med",
        ],
    ),
    (
        Class::Problems,
        &[
            "problem",
            "condition",
            "diagnosis",
            "disease",
            "complication",
            "symptom",
            "careplan",
            "goal",
            "icd",
            "episode",
        ],
    ),
    (Class::Research, &["cohort", "study", "trial", "consent", "enrollment", "program", "survey"]),
    (
        Class::Visits,
        &[
            "visit",
            "encounter",
            "admission",
            "transfer",
            "icustay",
            "stay",
            "appointment",
            "bed",
            "ward",
            "schedule",
            "service",
            "referral",
            "team",
            "careteam",
            "poe",
            "order",
            "registration",
            "movement",
            "period",
            "assignment",
            "discharge",
        ],
    ),
    (
        Class::Demographics,
        &[
            "patient",
            "person",
            "pat",
            "demographic",
            "name",
            "address",
            "identifier",
            "contact",
            "guardian",
            "relative",
            "relationship",
            "member",
            "subject",
            "beneficiary",
            "client",
            "location",
            "telecom",
            "phone",
            "attribute",
        ],
    ),
];

/// Names that mean something else than their words.
const PHRASES: [(&[&str], Class); 3] = [
    (&["observation", "period"], Class::Visits),
    (&["care", "plan"], Class::Problems),
    (&["service", "request"], Class::Procedures),
];

impl Class {
    /// The word in the configuration.
    pub(super) fn word(self) -> &'static str {
        match self {
            Class::Demographics => "demographics",
            Class::Visits => "visits",
            Class::Problems => "problems",
            Class::Allergies => "allergies",
            Class::Procedures => "procedures",
            Class::Labs => "labs",
            Class::Vitals => "vitals",
            Class::Medication => "medication",
            Class::Immunizations => "immunizations",
            Class::Devices => "devices",
            Class::Imaging => "imaging",
            Class::Notes => "notes",
            Class::Death => "death",
            Class::Financial => "financial",
            Class::Research => "research",
            Class::Other => "other",
        }
    }

    /// Classes of what people treat, and not of what they bill or count.
    pub(super) fn is_administrative(self) -> bool {
        matches!(self, Class::Demographics | Class::Visits | Class::Financial)
    }
}

/// The class of a table, by its name, else by its columns. `None` when neither says.
pub(super) fn guess(table: &Table<'_>) -> Option<Class> {
    let phrase = |words: &[&str]| words.iter().all(|w| any(&table.words, &[w]));
    let by_name = PHRASES
        .iter()
        .find(|(words, _)| phrase(words))
        .map(|(_, class)| *class)
        .or_else(|| WORDS.iter().find(|(_, words)| any(&table.words, words)).map(|(class, _)| *class));
    let by_column = || {
        let has = |words: &[&str]| table.columns.iter().any(|c| any(&c.words, words));
        [
            (Class::Problems, &["icd10", "icd9", "icd", "snomed"][..]),
            (Class::Labs, &["loinc", "analyte"][..]),
            (Class::Medication, &["ndc", "rxnorm", "atc", "dose"][..]),
        ]
        .into_iter()
        .find(|(_, words)| has(words))
        .map(|(class, _)| class)
    };
    by_name.or_else(by_column)
}
