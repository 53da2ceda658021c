//! A file of SCRAM verifiers in PgBouncer's `auth_file` form: one user a line, `"user" "SCRAM-SHA-256$..."`,
//! with an optional third text that says until when the password holds (RFC 3339). Parsing and the
//! permissions of the file; who asks for a verifier is `entry`'s.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::wire::client::StoredVerifier;
use crate::wire::scram::VerifierError;

/// Why a file of verifiers is not used. No text of it holds a verifier.
#[derive(Debug, thiserror::Error)]
pub enum UserlistError {
    /// It cannot be read.
    #[error("cannot read verifier file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Whoever can read a verifier can try passwords against it; whoever can write it can log in.
    #[error(
        "verifier file {} can be read or changed by others (mode {mode:04o}); chmod 600 it",
        path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line that is none.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineError,
    },
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not two or three texts in double quotes.
    #[error("expected \"user\" \"SCRAM-SHA-256$...\" (and optionally \"2027-01-31T00:00:00Z\")")]
    Form,
    /// The user's name is empty or over 63 bytes.
    #[error("a user name has 1 to 63 bytes")]
    Name,
    /// A password in clear text, or garbage.
    #[error("the second text is no SCRAM-SHA-256 verifier; copy rolpassword from pg_authid")]
    NoVerifier,
    /// An MD5 hash.
    #[error("an MD5 hash cannot be used; set the password anew under password_encryption = 'scram-sha-256'")]
    Md5,
    /// The end of validity is no time.
    #[error("the third text must be a time such as \"2027-01-31T00:00:00Z\"")]
    Until,
    /// The user was there before.
    #[error("user \"{user}\" stands in line {first} already")]
    Twice {
        /// The user.
        user: String,
        /// The line it stands in first.
        first: usize,
    },
}

/// The verifiers of a file.
#[derive(Debug, Clone, Default)]
pub struct Userlist(HashMap<String, StoredVerifier>);

impl Userlist {
    /// Reads a file that only its owner can write, and nobody beyond its group can read.
    ///
    /// # Errors
    /// [`UserlistError`]; a file with one wrong line is not used at all.
    pub fn load(path: &Path) -> Result<Self, UserlistError> {
        let read = |source| UserlistError::Read { path: path.into(), source };
        let mut file = std::fs::File::open(path).map_err(read)?;
        // Of the open file, so that what is checked is what is read.
        if let Some(mode) = open_to_others(&file.metadata().map_err(read)?) {
            return Err(UserlistError::Permissions { path: path.into(), mode });
        }
        let mut text = zeroize::Zeroizing::new(String::new());
        std::io::Read::read_to_string(&mut file, &mut text).map_err(read)?;
        Self::parse(&text).map_err(|(line, problem)| UserlistError::Line { path: path.into(), line, problem })
    }

    /// Reads the text of a file. Empty lines and lines that begin with `;` or `#` are skipped.
    ///
    /// # Errors
    /// The first wrong line, from 1, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (usize, LineError)> {
        let mut users: HashMap<String, StoredVerifier> = HashMap::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with([';', '#']) {
                continue;
            }
            let (user, verifier) = entry(line).map_err(|problem| (number, problem))?;
            if let Some(first) = lines.insert(user.clone(), number) {
                return Err((number, LineError::Twice { user, first }));
            }
            users.insert(user, verifier);
        }
        Ok(Self(users))
    }

    /// The verifier of a user.
    pub fn find(&self, user: &str) -> Option<StoredVerifier> {
        self.0.get(user).cloned()
    }

    /// How many users it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no user.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn entry(line: &str) -> Result<(String, StoredVerifier), LineError> {
    let (user, rest) = quoted(line).ok_or(LineError::Form)?;
    let (verifier, rest) = quoted(rest).ok_or(LineError::Form)?;
    let (until, rest) = match rest.trim_start() {
        "" => (None, ""),
        rest => quoted(rest).map(|(text, rest)| (Some(text), rest)).ok_or(LineError::Form)?,
    };
    if !rest.trim().is_empty() {
        return Err(LineError::Form);
    }
    if user.is_empty() || user.len() > 63 {
        return Err(LineError::Name);
    }
    let scram = verifier.parse().map_err(|error| match error {
        VerifierError::Md5 => LineError::Md5,
        VerifierError::Malformed => LineError::NoVerifier,
    })?;
    let valid_until = until
        .map(|text| text.parse::<jiff::Timestamp>().map(SystemTime::from).map_err(|_| LineError::Until))
        .transpose()?;
    Ok((user, StoredVerifier { scram, valid_until }))
}

/// A text in double quotes at the front, where `""` is one of its characters; and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.trim_start().strip_prefix('"')?;
    let mut out = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        out.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                out.push('"');
                rest = more;
            }
            None => return Some((out, after)),
        }
    }
}

#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o027 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::scram::ScramVerifier;
    use proptest::prelude::*;

    fn verifier() -> String {
        ScramVerifier::of_password("secret", b"0123456789abcdef", 4096).to_stored()
    }

    #[test]
    fn pgbouncers_file_and_an_end() {
        let v = verifier();
        let text = format!(
            "; people\n\n\"amy\" \"{v}\"\n  \"o\"\"neil\"\t\"{v}\"  \n# more\n\"bob\" \"{v}\" \"2027-01-31T00:00:00Z\"\n"
        );
        let list = Userlist::parse(&text).unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list.find("amy").unwrap().scram.to_stored(), v);
        assert_eq!(list.find("o\"neil").unwrap().valid_until, None);
        let end = list.find("bob").unwrap().valid_until.unwrap();
        assert_eq!(end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_801_353_600);
        assert!(list.find("Amy").is_none());
    }

    #[test]
    fn a_wrong_line_is_named_and_says_no_verifier() {
        let v = verifier();
        let twice = LineError::Twice { user: "amy".into(), first: 2 };
        for (line, problem) in [
            ("amy".to_owned(), LineError::Form),
            ("\"amy\"".to_owned(), LineError::Form),
            (format!("\"bob\" \"{v}"), LineError::Form),
            (format!("\"bob\" \"{v}\" more"), LineError::Form),
            (format!("\"bob\" \"{v}\" \"2027-01-31T00:00:00Z\" \"x\""), LineError::Form),
            (format!("\"\" \"{v}\""), LineError::Name),
            (format!("\"{}\" \"{v}\"", "a".repeat(64)), LineError::Name),
            ("\"bob\" \"secret\"".to_owned(), LineError::NoVerifier),
            (format!("\"bob\" \"md5{}\"", "0".repeat(32)), LineError::Md5),
            (format!("\"bob\" \"{v}\" \"tomorrow\""), LineError::Until),
            (format!("\"amy\" \"{v}\""), twice),
        ] {
            let text = format!("# first\n\"amy\" \"{v}\"\n{line}\n");
            let (at, found) = Userlist::parse(&text).unwrap_err();
            assert_eq!((at, &found), (3, &problem), "{line}");
            assert!(!found.to_string().contains(&v) && !found.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_file_open_to_others_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("\"amy\" \"{}\"\n", verifier())).unwrap();
        for (mode, used) in [(0o600, true), (0o640, true), (0o644, false), (0o620, false), (0o602, false)] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Userlist::load(file.path()).is_ok(), used, "{mode:o}");
        }
        assert!(matches!(Userlist::load(Path::new("/nowhere")), Err(UserlistError::Read { .. })));
    }

    proptest! {
        // Property: any name comes back as it was written.
        #[test]
        fn names_survive_quoting(name in "[a-z\" ;#\\\\é]{1,20}") {
            let text = format!("\"{}\" \"{}\"", name.replace('"', "\"\""), verifier());
            prop_assert!(Userlist::parse(&text).unwrap().find(&name).is_some());
        }

        #[test]
        fn garbage_is_an_error_at_most(text in "[\"a-z$: \n]{0,60}") {
            let _ = Userlist::parse(&text);
        }
    }
}
