//! Client text to statements: libpg_query's tree, one entry a statement, and the texts no role may send.
//!
//! PostgreSQL's own grammar decides what the text means. Nothing here knows catalogs or policy.
//!
//! Depth: libpg_query has limits of its own (its grammar stack, then its `check_stack_depth`, at most 2 MB
//! of stack), and each gives a clean error. What it lets through is read, walked and dropped on a stack of
//! [`ROOM`] bytes, and refused there when it has more than [`DEEPEST`] levels. Outside of [`deep`] no tree
//! has more than [`SHALLOW`], so that nobody who walks one needs a large stack.

use std::cell::Cell;

use super::StatementKind;
use super::tree::{Node, Tree, located_tree_of, tree_of};
use super::weight;
use crate::policy::{GlsCode, RESERVED_PREFIX, Refusal};

/// Longest accepted text in bytes. Beyond it a statement is refused, never forwarded.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// Most levels of a tree.
pub const DEEPEST: usize = 1_000;

/// Most levels of a tree outside of [`deep`].
const SHALLOW: usize = 100;

/// Bytes of the stack on which deep trees are handled; only what is used of it takes memory. A thread that has as much
/// needs no other: one is mapped for each text otherwise, some 10 to 30 us.
pub const ROOM: usize = 256 << 20;

thread_local! {
    static IN_THE_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a large stack, if this is not one already.
pub(crate) fn with_room<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(ROOM / 2, ROOM, work)
}

/// Runs `work` where trees of up to [`DEEPEST`] levels are parsed and handled. No tree may leave it.
pub(crate) fn deep<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_THE_DEEP.set(self.0);
        }
    }
    with_room(|| {
        let _restore = Restore(IN_THE_DEEP.replace(true));
        work()
    })
}

/// Gives libpg_query's messages of `text` to `read`, with room for whatever they are.
pub(crate) fn messages<T>(
    text: &str,
    read: impl FnOnce(&pg_query::ParseResult) -> T,
) -> Result<T, pg_query::Error> {
    with_room(|| pg_query::parse(text, 0).map(|parsed| read(&parsed)))
}

/// A parsed client text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The statements in order; none for an empty query string.
    pub statements: Vec<Statement>,
}

/// One statement of a client text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The client's bytes of this statement, without the semicolon.
    pub text: String,
    /// Its tree.
    pub root: Node,
    /// Highest `$n` in it, 0 when there is none.
    pub max_param: u16,
}

impl Statement {
    /// The kind, when it is one that can carry a guard.
    pub fn kind(&self) -> Option<StatementKind> {
        kind_of(&self.root)
    }
}

/// The kind of a statement that can carry a guard.
pub fn kind_of(root: &Node) -> Option<StatementKind> {
    let writes = |cte: &Node| cte.node("ctequery").is_some_and(|q| q.kind != "SelectStmt");
    match root.kind {
        "SelectStmt" if root.node("with_clause").is_some_and(|w| w.nodes("ctes").any(writes)) => {
            Some(StatementKind::With)
        }
        "SelectStmt" => Some(StatementKind::Select),
        "InsertStmt" => Some(StatementKind::Insert),
        "UpdateStmt" => Some(StatementKind::Update),
        "DeleteStmt" => Some(StatementKind::Delete),
        "MergeStmt" => Some(StatementKind::Merge),
        _ => None,
    }
}

/// Why a text is not accepted from anyone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRefusal {
    /// A NUL byte: PostgreSQL would read a shorter text than we.
    #[error("the statement contains a NUL byte")]
    Nul,
    /// Longer than [`MAX_TEXT_BYTES`].
    #[error("the statement has {bytes} bytes; the limit is {MAX_TEXT_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Too many tokens: its tree would take more memory than one statement may.
    #[error("the statement is made of up to {tokens} words, values and signs; that is too many for one")]
    TooHeavy {
        /// How many at most.
        tokens: usize,
    },
    /// PostgreSQL's grammar refuses it.
    #[error("{0}")]
    Syntax(String),
    /// Nested deeper than [`DEEPEST`], or than the parser follows.
    #[error("the statement is nested too deeply: about 1,000 chained operators or 300 subqueries are read")]
    TooDeep,
    /// A name that starts with the reserved prefix.
    #[error("the name \"{0}\" is reserved: names that start with {RESERVED_PREFIX} belong to the proxy")]
    ReservedName(String),
    /// The parser answered something inconsistent.
    #[error("the statement could not be parsed: {0}")]
    Internal(&'static str),
}

impl ParseRefusal {
    /// The refusal as the client is told: 42601 for syntax, 54001 for depth, 54000 for length.
    pub fn refusal(&self) -> Refusal {
        let (sqlstate, hint) = match self {
            ParseRefusal::Nul => ("22021", None),
            ParseRefusal::TooLong { .. } => {
                ("54000", Some("send the values as parameters, or use COPY ... FROM STDIN"))
            }
            ParseRefusal::TooHeavy { .. } => (
                "54000",
                Some(
                    "send fewer rows per statement, or the values as one array parameter: = ANY ($1), unnest($1)",
                ),
            ),
            ParseRefusal::Syntax(_) => ("42601", None),
            ParseRefusal::TooDeep => (
                "54001",
                Some(
                    "use concat(...) for chains of ||, IN (...) or = ANY (ARRAY[...]) for chains of OR and =, \
                     VALUES for chains of UNION, and WITH queries one after another for nested subqueries",
                ),
            ),
            ParseRefusal::ReservedName(_) => ("42939", Some("choose another name")),
            ParseRefusal::Internal(_) => ("XX000", None),
        };
        let mut refusal = Refusal::new(GlsCode::CannotGuard, self.to_string());
        refusal.sqlstate = sqlstate;
        refusal.hint = hint.map(str::to_owned);
        refusal
    }
}

/// Parses a client's text.
///
/// # Errors
/// [`ParseRefusal`]; such a text must not reach the server, whatever the role.
pub fn parse(text: &str) -> Result<Parsed, ParseRefusal> {
    let parsed = parse_ours(text)?;
    for statement in &parsed.statements {
        if let Some(name) = reserved_name(&statement.root) {
            return Err(ParseRefusal::ReservedName(name.to_owned()));
        }
    }
    Ok(parsed)
}

/// Parses a text of ours, in which reserved names are expected.
pub(crate) fn parse_ours(text: &str) -> Result<Parsed, ParseRefusal> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ParseRefusal::TooLong { bytes: text.len() });
    }
    if text.as_bytes().contains(&0) {
        return Err(ParseRefusal::Nul);
    }
    let _one_at_a_time =
        weight::admit(text).map_err(|heavy| ParseRefusal::TooHeavy { tokens: heavy.tokens })?;
    messages(text, |parsed| read(parsed, text)).map_err(|e| match e {
        pg_query::Error::Parse(message) if message.contains("stack depth") => ParseRefusal::TooDeep,
        pg_query::Error::Parse(message) if message.contains("memory exhausted") => ParseRefusal::TooDeep,
        pg_query::Error::Parse(message) => ParseRefusal::Syntax(message),
        pg_query::Error::Decode(_) => ParseRefusal::TooDeep,
        _ => ParseRefusal::Internal("the parser refused the text"),
    })?
}

/// The statements of parsed messages.
fn read(parsed: &pg_query::ParseResult, text: &str) -> Result<Parsed, ParseRefusal> {
    let most = if IN_THE_DEEP.get() { DEEPEST } else { SHALLOW };
    let mut statements = Vec::with_capacity(parsed.protobuf.stmts.len());
    for raw in &parsed.protobuf.stmts {
        let start = usize::try_from(raw.stmt_location).unwrap_or(0);
        let len = usize::try_from(raw.stmt_len).unwrap_or(0);
        let slice = if len == 0 { text.get(start..) } else { text.get(start..start.saturating_add(len)) };
        let slice = slice.ok_or(ParseRefusal::Internal("statement boundaries"))?;
        let Ok(Tree::Node(root)) = tree_of(&raw.stmt) else {
            return Err(ParseRefusal::Internal("no statement"));
        };
        if levels(&root) > most {
            return Err(ParseRefusal::TooDeep);
        }
        let max_param = u16::try_from(max_param(&root))
            .map_err(|_| ParseRefusal::Syntax("there is no parameter with that number".into()))?;
        statements.push(Statement { text: slice.to_owned(), root, max_param });
    }
    Ok(Parsed { statements })
}

/// Levels of a tree.
fn levels(node: &Node) -> usize {
    1 + node.children().into_iter().map(levels).max().unwrap_or(0)
}

/// The tree of one statement with the places of its nodes in the text. Only inside [`deep`].
pub(crate) fn parse_located(text: &str) -> Result<Node, ParseRefusal> {
    let located = messages(text, |parsed| match parsed.protobuf.stmts.as_slice() {
        [one] => match located_tree_of(&one.stmt) {
            Ok(Tree::Node(root)) if levels(&root) <= DEEPEST => Ok(root),
            Ok(Tree::Node(_)) => Err(ParseRefusal::TooDeep),
            _ => Err(ParseRefusal::Internal("no statement")),
        },
        _ => Err(ParseRefusal::Internal("one statement is expected")),
    });
    located.map_err(|e| ParseRefusal::Syntax(e.to_string()))?
}

fn max_param(node: &Node) -> i64 {
    let own = if node.kind == "ParamRef" { node.int("number") } else { 0 };
    node.children().into_iter().map(max_param).fold(own, i64::max)
}

/// True when `name` is one of ours, in any case: an unquoted name is folded, a quoted one is not.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.as_bytes()
        .get(..RESERVED_PREFIX.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes()))
}

/// The first reserved name among all strings of the tree but constants. A constant is a value and
/// never becomes a name: what runs text as SQL is denied elsewhere (and `DO` bodies, being
/// strings of a `DefElem`, are looked at here all the same).
fn reserved_name(node: &Node) -> Option<&str> {
    if node.kind == "AConst" {
        return None;
    }
    node.fields.iter().find_map(|(_, value)| reserved_in(value))
}

fn reserved_in(value: &Tree) -> Option<&str> {
    match value {
        Tree::Str(s) => is_reserved(s).then_some(s.as_str()),
        Tree::List(items) => items.iter().find_map(reserved_in),
        Tree::Node(n) => reserved_name(n),
        Tree::Null | Tree::Int(_) | Tree::Float(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_into_the_clients_own_bytes() {
        let p = parse("SELECT 1; /* ä; */ SELECT $2, 'a;b' ;; DELETE FROM t WHERE x = $7").expect("parses");
        let texts: Vec<_> = p.statements.iter().map(|s| s.text.trim()).collect();
        assert_eq!(texts, ["SELECT 1", "SELECT $2, 'a;b'", "DELETE FROM t WHERE x = $7"]);
        assert_eq!(p.statements.iter().map(|s| s.max_param).collect::<Vec<_>>(), [0, 2, 7]);
        assert!(parse(" ; -- nothing").expect("parses").statements.is_empty());
    }

    #[test]
    fn b106_reserved_names_are_refused_in_every_spelling() {
        for sql in [
            "SELECT 1 AS __glass_k1",
            "SELECT 1 AS \"__GLASS_k1\"",
            "SELECT 1 AS U&\"\\005f_glass_x\"",
            "SELECT * FROM t __glass_r1",
            "SELECT __glass_r1.x FROM t",
            "WITH __glass_a AS (SELECT 1) SELECT 1",
            "SELECT * FROM t AS x(__glass_k1)",
            "CREATE TEMP TABLE t (__glass_m1 int)",
            "SELECT __Glass_f()",
            "PREPARE __glass_p AS SELECT 1",
            "SELECT * FROM json_to_record('{}') AS x(__glass_k1 text)",
            "DO '__glass_x'",
        ] {
            assert!(matches!(parse(sql), Err(ParseRefusal::ReservedName(_))), "{sql}");
        }
        assert!(parse("SELECT '__glass_k1'").is_ok(), "a constant is no name");
    }

    #[test]
    fn deep_and_hostile_texts_are_refused_cleanly() {
        let deep = [
            "SELECT ".to_owned() + &"(".repeat(100_000) + "1" + &")".repeat(100_000),
            "SELECT ".to_owned() + &"- ".repeat(1_000_000) + "1",
            "SELECT ".to_owned() + &"NOT ".repeat(500_000) + "true",
            "SELECT 1".to_owned() + &"+1".repeat(1_000_000),
            "SELECT 1".to_owned() + &" UNION ALL SELECT 1".repeat(10_000),
            "SELECT ".to_owned() + &"(SELECT ".repeat(9_000) + "1" + &")".repeat(9_000),
            "SELECT ".to_owned() + &"CASE WHEN true THEN ".repeat(5_000) + "1" + &" END".repeat(5_000),
        ];
        for sql in &deep {
            assert!(parse(sql).is_err(), "{}...", &sql[..40]);
        }
        // Flat however long: n-ary in the tree.
        assert!(parse(&("SELECT a".to_owned() + &"[1]".repeat(300_000))).is_ok());
        assert!(parse(&("SELECT a OR true".to_owned() + &" OR a".repeat(100_000))).is_ok());
        assert!(parse(&("SELECT 1 WHERE 1 IN (1".to_owned() + &",1".repeat(100_000) + ")")).is_ok());
        assert_eq!(parse("SELECT 1\0"), Err(ParseRefusal::Nul));
        assert!(parse(&format!("SELECT '{}'", "data".repeat(MAX_TEXT_BYTES / 5))).is_ok());
        assert!(matches!(parse(&" ".repeat(MAX_TEXT_BYTES + 1)), Err(ParseRefusal::TooLong { .. })));
        assert!(matches!(parse("SELEC 1"), Err(ParseRefusal::Syntax(_))));
    }

    #[test]
    fn b42_b43_b37_strings_and_comments_are_read_as_postgresql_reads_them() {
        assert_eq!(parse("/* /* */ DELETE FROM patients */ SELECT 1").expect("parses").statements.len(), 1);
        assert_eq!(
            parse("UPDATE notes SET body=E'O\\'Brien'; DELETE FROM p").expect("parses").statements.len(),
            2
        );
    }

    #[test]
    fn b101_printer_differential() {
        let p = parse("SELECT 'x\\'' UNION SELECT ssn FROM patients --'").expect("parses");
        assert_eq!(p.statements[0].root.int("op"), 1, "one literal, no UNION");
        let p = parse("SELECT 'x\\' UNION SELECT ssn FROM patients --'").expect("parses");
        assert_eq!(p.statements[0].root.int("op"), 2, "a UNION");
    }
}
