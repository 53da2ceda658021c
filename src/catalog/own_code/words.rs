//! The words of a function's body or of an expression: what it may read, call and compute with. PL/pgSQL has the
//! lexical rules of SQL. Nothing is understood here; what runs texts that it makes has no words.

use std::collections::BTreeSet;

use pg_query::protobuf::{ScanToken, Token};

/// What a piece of code names. Names are folded as PostgreSQL folds them, schemas left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// Every identifier and key word.
    pub all: BTreeSet<String>,
    /// Those that stand where a relation can stand.
    pub relations: BTreeSet<String>,
    /// Those that stand where a function can stand: before a parenthesis or behind a dot.
    pub calls: BTreeSet<String>,
    /// Operators.
    pub operators: BTreeSet<String>,
}

/// Longest body that is looked through, bytes.
const LONGEST: usize = 256 * 1024;

/// Statements that run texts, read by other names than a relation's, or change what names mean.
const OPAQUE: [&str; 11] =
    ["execute", "fetch", "move", "copy", "prepare", "create", "alter", "drop", "import", "load", "reset"];

impl Words {
    /// The words of a body; `None` when it cannot be known what it does.
    pub fn of(body: &str) -> Option<Self> {
        if body.len() > LONGEST {
            return None;
        }
        let scanned = pg_query::scan(body).ok()?;
        let comment = [Token::SqlComment as i32, Token::CComment as i32];
        let tokens: Vec<&ScanToken> = scanned.tokens.iter().filter(|t| !comment.contains(&t.token)).collect();
        let text = |at: usize| {
            let token = tokens.get(at)?;
            body.get(usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?)
        };
        let mut words = Self::default();
        // What stands before: a name, a sign, or the beginning; anything else is `'`.
        let mut before = String::from(";");
        for (at, token) in tokens.iter().enumerate() {
            let written = text(at)?;
            let kind = token.token;
            if kind == Token::Uident as i32 {
                return None;
            }
            let first = written.chars().next()?;
            let named = kind == Token::Ident as i32 || token.keyword_kind != 0;
            if named {
                let names = names_of(written);
                let name = names.first().cloned().unwrap_or_default();
                let plain = first != '"';
                let after = text(at + 1).unwrap_or_default();
                if plain && opaque(&name, &before, after) {
                    return None;
                }
                let places = ["from", "join", ",", "(", "only", ".", "table", "update", "into", "using"];
                if places.contains(&before.as_str()) {
                    words.relations.extend(names.iter().cloned());
                }
                if after == "(" || before == "." {
                    words.calls.extend(names.iter().cloned());
                }
                words.all.extend(names);
                before = name;
                continue;
            }
            before = match written.chars().all(|c| "+-*/<>=~!@#%^&|`?".contains(c)) {
                true => {
                    words.operators.insert(if written == "!=" { "<>" } else { written }.to_owned());
                    String::from("'")
                }
                false if written.len() == 1 => written.to_owned(),
                false => String::from("'"),
            };
        }
        // Forms of operators that are written in words.
        for (word, tokens) in [
            ("between", &["<", "<=", ">", ">="][..]),
            ("in", &["=", "<>"]),
            ("distinct", &["=", "<>"]),
            ("nullif", &["="]),
            ("case", &["="]),
            ("using", &["="]),
            ("natural", &["="]),
            ("like", &["~~", "!~~"]),
            ("ilike", &["~~*", "!~~*"]),
            ("similar", &["~", "!~"]),
        ] {
            if words.all.contains(word) {
                words.operators.extend(tokens.iter().map(|t| (*t).to_owned()));
            }
        }
        Some(words)
    }
}

/// Longest identifier, bytes; what is longer is cut (`NAMEDATALEN`).
const LONGEST_NAME: usize = 63;

/// An identifier as PostgreSQL reads it. Whether it folds what is not ASCII depends on the database's encoding.
fn names_of(written: &str) -> Vec<String> {
    let mut names = match written.strip_prefix('"').and_then(|w| w.strip_suffix('"')) {
        Some(quoted) => vec![quoted.replace("\"\"", "\"")],
        None => vec![written.to_ascii_lowercase(), written.to_lowercase()],
    };
    for name in &mut names {
        let mut end = name.len().min(LONGEST_NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    names.dedup();
    names
}

/// True for a word that begins a statement of which it cannot be known what it does.
fn opaque(word: &str, before: &str, after: &str) -> bool {
    let begins = matches!(before, ";" | "begin" | "atomic" | "then" | "else" | "loop");
    match word {
        "execute" => true,
        // ON CONFLICT DO UPDATE; DO 'text' runs the text.
        "do" => !matches!(after.to_lowercase().as_str(), "update" | "nothing" | "select"),
        "set" => begins && !after.is_empty(),
        word => begins && OPAQUE.contains(&word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn what_a_body_reads_calls_and_computes_with_is_found() {
        let words = Words::of(
            "DECLARE n bigint; r public.\"Odd\"%ROWTYPE; BEGIN -- FROM nowhere\n
             SELECT max(t.no) + 1 INTO n FROM ONLY visits t, \"Ward\" w JOIN c.notes USING (id) WHERE a BETWEEN 1 AND 2;
             IF n IS DISTINCT FROM patients.x THEN RETURN pg_catalog.upper('patients') || (w).secret; END IF;
             TABLE other; RETURN 'M' <> $1; END",
        )
        .expect("words");
        for relation in ["visits", "Ward", "notes", "patients", "other"] {
            assert!(words.relations.contains(relation), "{relation} in {:?}", words.relations);
        }
        assert!(!words.all.contains("nowhere"));
        let long = "x".repeat(80);
        let odd = Words::of(&format!("SELECT 1 FROM ÄRZTE, \"Ärzte\", {long}")).expect("words").relations;
        // In UTF-8, and where every letter is folded.
        assert_eq!(odd, set(&["Ärzte", "ärzte", &long[..63]]));
        assert_eq!(words.calls.intersection(&set(&["max", "upper", "secret", "n"])).count(), 3);
        assert_eq!(words.operators, set(&["%", "+", "<", "<=", "<>", "=", ">", ">=", "||"]));
    }

    #[test]
    fn what_runs_texts_has_no_words() {
        for body in [
            "BEGIN EXECUTE 'SELECT 1'; END",
            "BEGIN RETURN QUERY EXECUTE $1; END",
            "BEGIN FOR r IN EXECUTE q LOOP NULL; END LOOP; END",
            "DO $$BEGIN NULL; END$$",
            "BEGIN SET search_path = b; END",
            "BEGIN IF true THEN SET LOCAL role x; END IF; END",
            "BEGIN FETCH c INTO x; END",
            "SELECT U&\"\\0070atients\"",
            "BEGIN RETURN 'x",
        ] {
            assert_eq!(Words::of(body), None, "{body}");
        }
        for body in [
            "UPDATE counter SET n = n + 1 RETURNING n",
            "INSERT INTO c VALUES (1) ON CONFLICT (a) DO UPDATE SET n = 2",
            "BEGIN RETURN 'EXECUTE'; END",
            "SELECT \"execute\" FROM x",
            "",
        ] {
            assert!(Words::of(body).is_some(), "{body}");
        }
    }
}
