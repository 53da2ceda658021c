//! Names and words as they stand in a configuration file: quoted so that they are read back as they are, and, in
//! comments, without anything that would end the comment.

use crate::catalog::QualifiedName;

/// A TOML basic string.
pub(super) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => out.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Characters that are not seen, or that turn the text around.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A TOML key: bare where it can be.
pub(super) fn key(text: &str) -> String {
    let bare = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { text.to_owned() } else { string(text) }
}

/// `schema.name` as the configuration reads it: a part with a dot or a quote in double quotes.
pub(super) fn name(name: &QualifiedName) -> String {
    format!("{}.{}", part(&name.schema), part(&name.name))
}

/// One part of such a name.
pub(super) fn part(part: &str) -> String {
    if part.contains(['.', '"']) { format!("\"{}\"", part.replace('"', "\"\"")) } else { part.to_owned() }
}

/// A name in a comment or an error: hidden characters written out.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// A name that a configuration cannot hold: reserved, or nothing but white space.
pub(super) fn unusable(name: &str) -> bool {
    name.starts_with(crate::policy::RESERVED_PREFIX) || name.trim().is_empty()
}

/// Longest line of a comment.
const WIDTH: usize = 110;

/// Comment lines of `text`, broken at words, each beginning with `# ` (later ones indented by `hang`).
pub(super) fn comment(text: &str, hang: &str) -> String {
    let mut out = String::new();
    for paragraph in text.split('\n') {
        let mut line = "#".to_owned();
        let mut empty = true;
        for word in shown(paragraph).split(' ').filter(|w| !w.is_empty()) {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                out.push_str(line.trim_end());
                out.push('\n');
                line = format!("#{hang}");
            }
            line.push(' ');
            line.push_str(word);
            empty = false;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a name holds, it is read back as it was, from a string as from a key.
        #[test]
        fn names_are_read_back(text in any::<String>().prop_filter("NUL", |t| !t.contains('\0'))) {
            let file = format!("a = {}\n{}[t]\n{} = 1\n", string(&text), comment(&text, "  "), key(&text));
            let value: toml::Table = file.parse().map_err(|e| TestCaseError::fail(format!("{e}: {file}")))?;
            prop_assert_eq!(value["a"].as_str(), Some(text.as_str()));
            prop_assert!(value["t"].as_table().is_some_and(|t| t.contains_key(&text)));
        }
    }

    #[test]
    fn comments_are_broken_at_words() {
        let text = comment(&"word ".repeat(60), "  ");
        assert!(
            text.lines().count() > 1 && text.lines().all(|l| l.len() <= WIDTH && l.starts_with("# ")),
            "{text}"
        );
        assert_eq!(comment("a\nb\u{202e}c", ""), "# a\n# b\\u{202e}c\n");
    }
}
