//! The corpus: files of statements, one a line; lines that begin with `--` are titles. And the list of known refusals.

/// Who runs a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    /// Nurse, physician, billing, analyst.
    All,
    /// One nurse and one analyst.
    Two,
    /// Who may read the clinical classes.
    Clinical,
    /// Who may read and write notes.
    Carers,
}

/// A file of the corpus.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) roles: Roles,
    /// On the OMOP database instead of the demonstration's.
    pub(crate) omop: bool,
    /// The schema that its unqualified names mean.
    pub(crate) search_path: Option<&'static str>,
    pub(crate) statements: Vec<&'static str>,
}

macro_rules! files {
    ($($name:literal $roles:ident $path:expr),* $(,)?) => {
        vec![$(File {
            name: $name.to_owned(),
            roles: Roles::$roles,
            omop: $path == Some("cdm"),
            search_path: $path,
            statements: lines(include_str!(concat!("corpus/", $name, ".sql"))),
        }),*]
    };
}

pub(crate) fn files() -> Vec<File> {
    files![
        "tools" All None,
        "psql" Two None,
        "metadata" Two None,
        "orm" All Some("clinic"),
        "writes" Carers Some("clinic"),
        "demo" All Some("clinic"),
        "clinical" Clinical Some("clinic"),
        "omop" All Some("cdm"),
    ]
}

fn lines(text: &'static str) -> Vec<&'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--")).collect()
}

/// A known refusal.
#[derive(Debug)]
pub(crate) struct Known {
    file: &'static str,
    part: &'static str,
    /// Its line of KNOWN_LIMITATIONS.md.
    #[allow(dead_code)]
    limitation: &'static str,
}

impl Known {
    /// True for a refusal of a statement of `file` that contains the text.
    pub(crate) fn covers(&self, file: &str, statement: &str) -> bool {
        self.file == file && statement.contains(self.part)
    }
}

/// `known.txt`: file | a part of the statement | limitation.
pub(crate) fn known() -> Vec<Known> {
    lines(include_str!("known.txt"))
        .into_iter()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut parts = line.rsplitn(2, " | ");
            let limitation = parts.next().unwrap_or_default();
            let (file, part) =
                parts.next().and_then(|p| p.split_once(" | ")).expect("file | part | limitation");
            assert!(limitation.starts_with("limitation "), "{line}");
            Known { file, part, limitation }
        })
        .collect()
}
