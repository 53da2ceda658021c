//! What statements do besides their reply: to names, transactions, cursors and prepared statements. Not here: what
//! they read.

use super::Verdict;
use super::parse::{self, Statement};
use super::tree::Node;

/// What a statement does to what a session knows, besides its reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Unqualified names may mean something else afterwards.
    pub changes_namespace: bool,
    /// The snapshot of the catalog may be wrong afterwards: names can mean other relations and functions.
    pub changes_catalog: bool,
    /// It reads rows, or runs something later that does.
    pub reads_rows: bool,
    /// The server takes data from the client (`COPY ... FROM STDIN`).
    pub copies_in: bool,
    /// It can read relations by name.
    pub reads_names: bool,
    /// It looks names up, or runs what was prepared, when it is executed and not when it is bound.
    pub late_names: bool,
    /// It runs to its end before the first word of its result (utility statements, changes of rows).
    pub runs_first: bool,
    /// It means something else, or fails, outside a transaction block, or inside one.
    pub wants_block: bool,
    /// It always fails inside a transaction block (`VACUUM`, `DISCARD ALL`).
    pub refuses_block: bool,
    /// The transaction may end, and with it what was set inside it.
    pub ends_transaction: bool,
    /// Every prepared statement is forgotten (`DEALLOCATE ALL`, `DISCARD ALL`).
    pub forgets_prepared: bool,
    /// Every cursor and portal is closed (`DISCARD ALL`).
    pub closes_cursors: bool,
    /// The statement prepared under this name is forgotten (`DEALLOCATE name`).
    pub deallocates: Option<String>,
}

/// True when a function of this name is called somewhere inside, in whatever spelling.
fn calls(node: &Node, name: &str) -> bool {
    (node.kind == "FuncCall" && node.names("funcname").last() == Some(&name))
        || node.children().into_iter().any(|c| calls(c, name))
}

/// True when running the query (or change) `root` can change what unqualified names mean.
pub(super) fn moves_names(root: &Node, verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unattributed { .. }) || calls(root, "set_config") || root.has("into_clause")
}

/// False for a statement that means the same whatever the search path: it names no relation, type or
/// operator, and no function that could be another schema's.
fn reads_names(root: &Node) -> bool {
    match root.kind {
        "TransactionStmt" | "VariableSetStmt" | "VariableShowStmt" | "DiscardStmt" | "ClosePortalStmt"
        | "FetchStmt" | "ListenStmt" | "UnlistenStmt" | "NotifyStmt" | "DeallocateStmt" => false,
        // Poolers clean a connection with calls of built-in functions between the others.
        "SelectStmt" => {
            let plain = |call: &Node| {
                call.kind == "FuncCall"
                    && call.fields.iter().all(|(f, _)| matches!(*f, "funcname" | "args" | "funcformat"))
                    && call.list("args").len() == call.nodes("args").filter(|a| a.kind == "AConst").count()
                    && matches!(
                        call.names("funcname").as_slice(),
                        ["pg_catalog", _] | ["pg_advisory_unlock_all"]
                    )
            };
            let targets: Vec<&Node> = root.nodes("target_list").collect();
            let only_targets =
                root.fields.iter().all(|(f, _)| matches!(*f, "target_list" | "limit_option" | "op"));
            !(only_targets && targets.iter().all(|t| t.node("val").is_some_and(plain)))
        }
        _ => true,
    }
}

/// True when statements behind it may read something else than the snapshot of the catalog says. Not so: a new
/// table of its own, what has no rows, and rights.
fn changes_catalog(root: &Node) -> bool {
    match root.kind {
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CopyStmt"
        | "VariableSetStmt" | "VariableShowStmt" | "TransactionStmt" | "DiscardStmt" | "ClosePortalStmt"
        | "FetchStmt" | "ListenStmt" | "UnlistenStmt" | "NotifyStmt" | "DeallocateStmt" | "PrepareStmt"
        | "ExecuteStmt" | "DeclareCursorStmt" | "ExplainStmt" | "LockStmt" | "ConstraintsSetStmt"
        | "CheckPointStmt" | "TruncateStmt" | "VacuumStmt" | "ClusterStmt" | "ReindexStmt"
        | "RefreshMatViewStmt" | "CreateTableAsStmt" | "IndexStmt" | "CreateSeqStmt" | "AlterSeqStmt"
        | "CommentStmt" | "GrantStmt" | "GrantRoleStmt" | "CreateRoleStmt" | "AlterRoleStmt"
        | "AlterRoleSetStmt" | "DropRoleStmt" => false,
        // A partition or a child of a table with patients has patients' rows.
        "CreateStmt" => !root.list("inh_relations").is_empty() || root.has("partbound"),
        _ => true,
    }
}

fn reads_rows(root: &Node, reads_names: bool) -> bool {
    match root.kind {
        "SelectStmt" => reads_names,
        kind => matches!(
            kind,
            "InsertStmt"
                | "UpdateStmt"
                | "DeleteStmt"
                | "MergeStmt"
                | "CopyStmt"
                | "DeclareCursorStmt"
                | "PrepareStmt"
                | "ExecuteStmt"
                | "CreateTableAsStmt"
                | "ExplainStmt"
        ),
    }
}

/// False for statements that a transaction block changes nothing for.
fn wants_block(root: &Node) -> bool {
    match root.kind {
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CopyStmt"
        | "FetchStmt" | "ClosePortalStmt" | "PrepareStmt" | "ExecuteStmt" | "DeallocateStmt"
        | "VariableShowStmt" | "ListenStmt" | "UnlistenStmt" | "NotifyStmt" | "ExplainStmt"
        | "CreateTableAsStmt" | "TransactionStmt" => false,
        "VariableSetStmt" => root.flag("is_local") || root.str("name") == "TRANSACTION",
        _ => true,
    }
}

/// True for a text at which the server runs deferred constraints and triggers. One that is too long to be parsed again
/// is taken for one unless it begins like a query or a change of rows.
pub fn runs_deferred(text: &str) -> bool {
    /// Longest text that is parsed again, bytes.
    const LONGEST: usize = 32 * 1024;
    use pg_query::protobuf::Token as T;
    if text.len() <= LONGEST {
        let of_all = |p: parse::Parsed| p.statements.iter().any(|s| defers_no_more(&s.root));
        return parse::deep(|| parse::parse(text).map_or(true, of_all));
    }
    let first = super::objects::tokens(text).and_then(|tokens| tokens.first().map(|t| t.2));
    let harmless = [T::Select, T::Insert, T::Update, T::DeleteP, T::With, T::Values, T::Copy];
    !first.is_some_and(|token| harmless.iter().any(|t| *t as i32 == token))
}

/// True for statements at which deferred constraints and triggers are run: the end of a transaction (also the one that
/// a statement which wants none makes before itself), and `SET CONSTRAINTS`.
fn defers_no_more(root: &Node) -> bool {
    use pg_query::protobuf::TransactionStmtKind as K;
    match root.kind {
        "TransactionStmt" => !matches!(
            i32::try_from(root.int("kind")).ok().and_then(|k| K::try_from(k).ok()),
            Some(
                K::TransStmtBegin
                    | K::TransStmtStart
                    | K::TransStmtRollback
                    | K::TransStmtSavepoint
                    | K::TransStmtRelease
                    | K::TransStmtRollbackTo
            )
        ),
        "ConstraintsSetStmt" => true,
        _ => refuses_block(root),
    }
}

/// True for statements that the server never runs inside a transaction block (`PreventInTransactionBlock`).
fn refuses_block(root: &Node) -> bool {
    match root.kind {
        "VacuumStmt" => root.flag("is_vacuumcmd"),
        "DiscardStmt" => root.int("target") == i64::from(pg_query::protobuf::DiscardMode::DiscardAll as i32),
        "AlterSystemStmt" | "CreatedbStmt" | "DropdbStmt" | "CreateTableSpaceStmt" | "DropTableSpaceStmt" => {
            true
        }
        "IndexStmt" | "DropStmt" => root.flag("concurrent"),
        _ => false,
    }
}

/// What a statement does besides its reply. Unknown kinds are taken to change what names mean.
pub(super) fn effects(statement: &Statement, verdict: &Verdict) -> Effects {
    let root = &statement.root;
    let mut effects = Effects { reads_names: reads_names(root), ..Effects::default() };
    effects.runs_first = root.kind != "SelectStmt";
    effects.wants_block = wants_block(root);
    effects.changes_catalog = changes_catalog(root);
    effects.reads_rows = reads_rows(root, effects.reads_names);
    effects.refuses_block = refuses_block(root);
    let planned_at_bind = ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];
    effects.late_names = effects.reads_names && !planned_at_bind.contains(&root.kind);
    match root.kind {
        // `RESET ALL` has no name; `SET SCHEMA` is one of search_path.
        "VariableSetStmt" => {
            let name = root.str("name").to_ascii_lowercase();
            let moving = ["", "search_path", "role", "session_authorization"];
            effects.changes_namespace = moving.contains(&name.as_str());
        }
        "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
            // A function can SET; of the built-in ones only set_config does.
            effects.changes_namespace = moves_names(root, verdict);
        }
        "TransactionStmt" => effects.ends_transaction = true,
        // What is prepared runs later.
        "DeclareCursorStmt" | "PrepareStmt" | "VariableShowStmt" | "FetchStmt" | "ClosePortalStmt"
        | "ListenStmt" | "UnlistenStmt" | "NotifyStmt" | "LockStmt" | "ConstraintsSetStmt"
        | "CheckPointStmt" | "TruncateStmt" => {}
        "CopyStmt" => {
            effects.copies_in = root.flag("is_from") && root.str("filename").is_empty();
            effects.changes_namespace =
                matches!(verdict, Verdict::Unattributed { .. }) || calls(root, "set_config");
        }
        "DeallocateStmt" => {
            let name = root.str("name");
            effects.forgets_prepared = name.is_empty();
            effects.deallocates = (!name.is_empty()).then(|| name.to_owned());
        }
        "DiscardStmt" => {
            use pg_query::protobuf::DiscardMode::{DiscardPlans, DiscardSequences, DiscardTemp};
            let keeps = [DiscardPlans, DiscardSequences, DiscardTemp].map(|mode| i64::from(mode as i32));
            effects.forgets_prepared = !keeps.contains(&root.int("target"));
            effects.closes_cursors = effects.forgets_prepared;
            effects.changes_namespace = true;
        }
        _ => effects.changes_namespace = true,
    }
    effects
}
