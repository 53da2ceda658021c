//! The function call message (manual, "Function Call"), libpq's fast path, by which clients reach large objects:
//! psql's `\lo_import`, JDBC's `LargeObjectManager`. The function comes as an OID and its arguments as bytes, so
//! that nothing says what it reads: restricted roles are refused, for others it is recorded as touching anything.

use std::sync::Arc;

use super::ops::Op;
use super::peer::Stream;
use super::run::Mode;
use super::{Ended, Session, report};
use crate::policy::{GlsCode, Refusal};
use crate::sql::Footprint;
use crate::wire::frame::Frame;

/// What the record has in place of a statement when the function is not known.
const TEXT: &str = "(function call message)";

impl<C: Stream, S: Stream> Session<C, S> {
    pub(super) async fn on_function_call(&mut self, frame: Frame) -> Result<(), Ended> {
        self.quiesce().await?;
        if self.skipping {
            return Ok(());
        }
        self.refresh_rules();
        let called = frame.body().first_chunk().map(|oid| u32::from_be_bytes(*oid));
        let text = called.and_then(|oid| self.function_called(oid)).unwrap_or_else(|| TEXT.to_owned());
        if self.role.is_restricted() {
            let refusal = Refusal::new(
                GlsCode::CannotGuard,
                "the function call message is not supported: call the function in a SELECT",
            );
            return self.refuse_simple(&text, &refusal).await;
        }
        if !self.encoding_is_understood() {
            let refusal = report::encoding_refusal(&self.encoding, self.conforming_strings);
            return self.refuse_simple(&text, &refusal).await;
        }
        if let Err(error) = self.world.ledger_healthy() {
            return self.refuse_simple(&text, &report::ledger_refusal(&error)).await;
        }
        // A function can SET.
        self.namespace = None;
        self.namespace_touched = true;
        let mode = Mode::Unattributed { footprint: Footprint::default(), reason: "FUNCTION" };
        let run = self.new_run(vec![Arc::from(text)], mode, Vec::new());
        self.forward(frame);
        self.ops.push(Op::Query { run });
        self.gate_unattributed(run);
        Ok(())
    }

    /// The words for a call of the function with this OID, when the snapshot of the catalog has it.
    fn function_called(&self, oid: u32) -> Option<String> {
        let functions = &self.context.catalog.functions;
        let overloads = functions.iter().flat_map(|(name, all)| all.iter().map(move |f| (name, f)));
        let (name, function) = overloads.into_iter().find(|(_, f)| f.oid == oid)?;
        Some(format!("{TEXT} {}.{name}", function.schema))
    }
}
