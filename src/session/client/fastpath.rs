//! The function call message (manual, "Function Call"), with which libpq, psycopg2 and JDBC read and write large
//! objects. Such a call is decided as the `SELECT` of the same function is, and goes through as it came. Of any other
//! function nothing says what it reads: it is recorded as touching anything. Restricted roles are refused.

use std::sync::Arc;

use crate::policy::{GlsCode, Refusal};
use crate::session::client::refusals::not_text;
use crate::session::peer::Stream;
use crate::session::run::ops::Op;
use crate::session::run::{Mode, parameter_text};
use crate::session::server::report;
use crate::session::{Ended, Session};
use crate::sql::cache::Form;
use crate::sql::{Footprint, Verdict};
use crate::wire::frame::Frame;
use crate::wire::message::{FunctionCall, ServerTag};

/// What is said of a call in place of the text of a statement.
const UNNAMED: &str = "(function call message)";

/// The server's functions on large objects, by their number in `pg_proc.dat`, the same in every version.
/// Not here: those that read and write files of the server.
const LARGE_OBJECTS: [(u32, &str); 13] = [
    (715, "lo_create"),
    (952, "lo_open"),
    (953, "lo_close"),
    (954, "loread"),
    (955, "lowrite"),
    (956, "lo_lseek"),
    (957, "lo_creat"),
    (958, "lo_tell"),
    (964, "lo_unlink"),
    (1004, "lo_truncate"),
    (3170, "lo_lseek64"),
    (3171, "lo_tell64"),
    (3172, "lo_truncate64"),
];

/// The call of a function on large objects as a statement.
fn statement(call: &FunctionCall<'_>) -> Option<String> {
    let (_, name) = LARGE_OBJECTS.iter().find(|(number, _)| *number == call.function)?;
    let arguments: Vec<String> = (1..=call.arguments.len()).map(|n| format!("${n}")).collect();
    Some(format!("SELECT pg_catalog.{name}({})", arguments.join(", ")))
}

impl<C: Stream, S: Stream> Session<C, S> {
    /// Handles a function call message.
    pub(in crate::session) async fn on_function_call(&mut self, frame: Frame) -> Result<(), Ended> {
        self.quiesce().await?;
        // It is behind an error that came meanwhile.
        if self.skipping {
            return Ok(());
        }
        let call = match FunctionCall::decode(frame.body()) {
            Ok(call) => call,
            Err(e) => return self.refuse_simple(UNNAMED, &not_text(&e)).await,
        };
        if self.role.is_restricted() {
            return self.refuse_simple(UNNAMED, &not_for_restricted()).await;
        }
        let known = statement(&call);
        let text: Arc<str> = known.clone().unwrap_or_else(|| self.words_for(call.function)).into();
        let mode = match known {
            Some(_) => {
                let decided = match self.decide(&text, Form::Prepared(&[])).await? {
                    Ok(planned) => planned,
                    Err(refusal) => return self.refuse_simple(&text, &refusal).await,
                };
                match decided.statements.as_slice() {
                    [one] => match &one.verdict {
                        Verdict::Verbatim => Mode::Verbatim,
                        Verdict::Unattributed { footprint, reason } => {
                            Mode::Unattributed { footprint: footprint.clone(), reason }
                        }
                        Verdict::Refused(refusal) => return self.refuse_simple(&text, refusal).await,
                        Verdict::Guarded(_) => {
                            return Err(Ended::Protocol("a guard for a function call".into()));
                        }
                    },
                    _ => return Err(Ended::Protocol("a function call is one statement".into())),
                }
            }
            None if !self.encoding_is_understood() => {
                let refusal = report::encoding_refusal(&self.encoding, self.conforming_strings);
                return self.refuse_simple(&text, &refusal).await;
            }
            None => {
                // A function can SET.
                self.namespace = None;
                self.namespace_touched = true;
                Mode::Unattributed { footprint: Footprint::default(), reason: "FUNCTION" }
            }
        };
        if !matches!(mode, Mode::Verbatim)
            && let Err(error) = self.world.ledger_healthy()
        {
            return self.refuse_simple(&text, &report::ledger_refusal(&error)).await;
        }
        let binary = |i: usize| match call.formats.as_slice() {
            [] => false,
            [all] => *all == 1,
            each => each.get(i) == Some(&1),
        };
        let arguments = call
            .arguments
            .iter()
            .enumerate()
            .map(|(i, value)| parameter_text(*value, binary(i), 0))
            .collect();
        let id = self.new_run(vec![text], mode, arguments);
        if let Some(run) = self.runs.get_mut(&id) {
            run.calls_function = true;
        }
        if let Some(observed) = self.spared(not_for_restricted()) {
            self.watch_as(id, vec![Some(observed)]);
        }
        self.forward(frame);
        self.ops.push(Op::Query { run: id });
        self.announce(id);
        Ok(())
    }

    /// What stands in the record for a call of the function with this OID: its name, when the snapshot of the catalog
    /// has it.
    fn words_for(&self, oid: u32) -> String {
        let functions = &self.context.catalog.functions;
        let mut overloads = functions.iter().flat_map(|(name, all)| all.iter().map(move |f| (name, f)));
        match overloads.find(|(_, f)| f.oid == oid) {
            Some((name, function)) => format!("{UNNAMED} {}.{name}", function.schema),
            None => UNNAMED.to_owned(),
        }
    }

    /// The result of a call: behind its record, as a row would be. ReadyForQuery follows.
    pub(in crate::session) fn on_function_result(&mut self, frame: Frame) -> Result<(), Ended> {
        let tag = ServerTag::FunctionCallResponse;
        let id = self.head_run().ok_or_else(|| crate::session::server::unexpected(tag))?;
        if !self.runs.get(&id).is_some_and(|run| run.calls_function) {
            return Err(crate::session::server::unexpected(tag));
        }
        let warning = self.runs.get(&id).and_then(|run| run.warning());
        self.pass_to_run(frame, tag)?;
        if let Some(warning) = warning {
            self.show(&warning);
        }
        self.finish_plain(id, crate::ledger::record::Outcome::Ok, true);
        Ok(())
    }
}

fn not_for_restricted() -> Refusal {
    Refusal::new(
        GlsCode::CannotGuard,
        "the function call message is not supported: call the function in a SELECT",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_on_large_objects_are_statements() {
        let call = |function| FunctionCall { function, formats: vec![1], arguments: vec![None, None] };
        assert_eq!(statement(&call(954)).as_deref(), Some("SELECT pg_catalog.loread($1, $2)"));
        // lo_import, lo_export and pg_sleep.
        for other in [0, 764, 765, 767, 2626, 16_500] {
            assert_eq!(statement(&call(other)), None);
        }
    }
}
