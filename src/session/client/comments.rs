//! The comments in front of a client's statements: the parser's text of a statement begins behind them, and tools put
//! there for whom or why it is run. For the record only.

/// What stands before each of `statements` in `whole`, from its first comment on; empty where there is none, or where
/// a statement is not found.
pub(in crate::session) fn before<'a>(
    whole: &'a str,
    statements: impl Iterator<Item = &'a str>,
) -> Vec<&'a str> {
    if !whole.contains("--") && !whole.contains("/*") {
        return Vec::new();
    }
    let mut rest = whole;
    let mut all = Vec::new();
    for statement in statements {
        let (comments, behind) = skip(rest);
        let Some(next) = behind.strip_prefix(statement) else { break };
        all.push(comments);
        rest = next;
    }
    all
}

/// Skips white space, semicolons and comments: what was skipped from the first comment on, and what follows.
fn skip(text: &str) -> (&str, &str) {
    let mut first = None;
    let mut rest = text;
    loop {
        // PostgreSQL's white space.
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c', ';']);
        let Some(behind) = comment(rest) else { break };
        first = first.or(Some(rest));
        rest = behind;
    }
    let skipped = first.and_then(|f| f.get(..f.len().checked_sub(rest.len())?));
    (skipped.unwrap_or_default(), rest)
}

/// What follows the comment that `text` begins with. Those with `/*` nest.
fn comment(text: &str) -> Option<&str> {
    if let Some(line) = text.strip_prefix("--") {
        return Some(line.find(['\n', '\r']).and_then(|end| line.get(end..)).unwrap_or_default());
    }
    let mut rest = text.strip_prefix("/*")?;
    let mut depth = 1_usize;
    while depth > 0 {
        let at = rest.find(['/', '*'])?;
        rest = rest.get(at..)?;
        (depth, rest) = match (rest.strip_prefix("/*"), rest.strip_prefix("*/")) {
            (Some(inner), _) => (depth + 1, inner),
            (_, Some(outer)) => (depth - 1, outer),
            _ => (depth, rest.get(1..)?),
        };
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stand_before_their_statement() {
        let two = "/* a */ SELECT 1 -- x\n; -- b\n /* c /* d */ e */\n SELECT 2 /* y */";
        let found = before(two, ["SELECT 1 -- x\n", "SELECT 2 /* y */"].into_iter());
        assert_eq!(found, ["/* a */ ", "-- b\n /* c /* d */ e */\n "]);
        assert_eq!(before(" ; SELECT 1 -- x", ["SELECT 1 -- x"].into_iter()), [""]);
        assert!(before("SELECT '1'", ["SELECT '1'"].into_iter()).is_empty());
        // A comment that looks like the statement is none.
        assert_eq!(before("/* SELECT 1 */SELECT 1", ["SELECT 1"].into_iter()), ["/* SELECT 1 */"]);
        assert!(before("/* open SELECT 1", ["SELECT 1"].into_iter()).is_empty());
        assert!(before("/**/ SELECT 2", ["SELECT 1"].into_iter()).is_empty());
    }

    #[test]
    fn the_parsers_statements_begin_behind_them() {
        let text = "/* \u{e9} 4711 */ SELECT 1; --x\n\tSELECT 2; /*/*y*/*/;SELECT 3";
        let parsed = crate::sql::parse::parse(text).unwrap();
        let texts: Vec<&str> = parsed.statements.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(before(text, texts.into_iter()), ["/* \u{e9} 4711 */ ", "--x\n\t", "/*/*y*/*/;"]);
    }
}
