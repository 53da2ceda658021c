//! The client's messages, dispatched: `simple` and `extended` handle those that carry statements.

pub(in crate::session) mod calls;
pub(in crate::session) mod comments;
pub(in crate::session) mod extended;
pub(in crate::session) mod fastpath;
pub(in crate::session) mod parse;
pub(in crate::session) mod refusals;
pub(in crate::session) mod simple;

use crate::policy::{GlsCode, Refusal};
use crate::session::login::CLIENT_LIMIT;
use crate::session::peer::Stream;
use crate::session::run::ops::Op;
use crate::session::{Ended, Session};
use crate::wire::frame::Frame;
use crate::wire::message::ClientTag;

impl<C: Stream, S: Stream> Session<C, S> {
    /// Passes on COPY data that nothing has to look into, without waiting for whole messages. False when
    /// something else comes next.
    pub(in crate::session) fn relay_copy_data(&mut self) -> Result<bool, Ended> {
        if self.oversized.is_some() {
            return Ok(false);
        }
        // The rest of a message whose beginning was sent must follow, whatever became of the COPY.
        if !self.client.decoder.inside_frame() {
            let next = self.client.decoder.next_tag() == Some(b'd');
            let plain = |id| self.runs.get(&id).is_some_and(|run| run.plan().is_none());
            if !next || !self.copying_in || self.skipping || !self.head_run().is_some_and(plain) {
                return Ok(false);
            }
        }
        let Some(stretch) = self.client.decoder.stretch(b'd')? else { return Ok(false) };
        self.to_server.push(stretch.bytes());
        Ok(true)
    }

    /// A message over the limit came to its end, unread.
    pub(in crate::session) async fn refuse_oversized(&mut self) -> Result<(), Ended> {
        let Some(header) = self.oversized.take() else { return Ok(()) };
        let Some(tag) = ClientTag::of(header.tag) else {
            return Err(Ended::Protocol(format!("invalid frontend message type {}", header.tag)));
        };
        if self.skipping {
            return Ok(());
        }
        let refusal = Refusal {
            sqlstate: "54000",
            ..Refusal::new(
                GlsCode::CannotGuard,
                format!(
                    "a message of {} bytes is longer than the {CLIENT_LIMIT} that are understood",
                    header.body
                ),
            )
        }
        .with_hint("Send large values in parts, or load them with COPY.");
        if self.copying_in && tag == ClientTag::CopyData && self.break_off_copy(&refusal) {
            return Ok(());
        }
        self.quiesce().await?;
        match tag {
            ClientTag::Query | ClientTag::FunctionCall => self.refuse_simple("(too long)", &refusal).await,
            ClientTag::Parse
            | ClientTag::Bind
            | ClientTag::Describe
            | ClientTag::Execute
            | ClientTag::Close => self.refuse_extended("(too long)", &refusal).await,
            // Outside COPY the server ignores these, and so do we.
            ClientTag::CopyData | ClientTag::CopyDone | ClientTag::CopyFail if !self.copying_in => Ok(()),
            ClientTag::Sync
            | ClientTag::Flush
            | ClientTag::Terminate
            | ClientTag::Password
            | ClientTag::CopyData
            | ClientTag::CopyDone
            | ClientTag::CopyFail => Err(Ended::Protocol(refusal.message)),
        }
    }

    /// Handles one message of the client.
    pub(in crate::session) async fn on_client(&mut self, frame: Frame) -> Result<(), Ended> {
        let Some(tag) = ClientTag::of(frame.tag()) else {
            // What came before it is answered.
            self.hung_up = Some(Ended::Protocol(format!("invalid frontend message type {}", frame.tag())));
            return Ok(());
        };
        // A COPY in the middle of a simple query that was broken off: its error ends the query, before this message.
        if self.rest.is_some() && !self.copying_in && !self.copy_due {
            self.quiesce().await?;
            self.resume_query().await?;
        }
        if self.skipping && !matches!(tag, ClientTag::Sync | ClientTag::Terminate) {
            return Ok(());
        }
        let copies = matches!(tag, ClientTag::CopyData | ClientTag::CopyDone | ClientTag::CopyFail);
        let passive = copies || matches!(tag, ClientTag::Sync | ClientTag::Flush | ClientTag::Terminate);
        if self.copy_due {
            self.await_copy().await?;
            self.resume_query().await?;
        }
        if self.copying_in && !passive {
            let what = format!("unexpected message type {:#04x} during COPY from stdin", tag.byte());
            return Err(Ended::Protocol(what));
        }
        // What a name means after a Sync depends on whether the messages before it succeeded; what an
        // unqualified name means, on a statement that is still running.
        if !passive && (self.names_unsettled || self.namespace.is_none()) {
            self.quiesce().await?;
            self.names_unsettled = false;
        }
        // Whether a lookup is refused decides on all that is behind it in its transaction.
        if (!passive || tag == ClientTag::Sync) && std::mem::take(&mut self.lookup_in_transaction) {
            self.quiesce().await?;
        }
        if !passive {
            self.settle_lookup().await?;
        }
        // A Query behind a pipeline without Sync is skipped if one of its messages failed. One that is not
        // sent as it is brings a Sync of its own, which would end the skipping.
        if tag == ClientTag::Query && self.ops.open_pipeline() {
            self.quiesce().await?;
        }
        // An error may have come meanwhile, which this message is behind.
        if self.skipping && !matches!(tag, ClientTag::Sync | ClientTag::Terminate) {
            return Ok(());
        }
        match tag {
            ClientTag::Query => self.on_query(frame).await,
            ClientTag::Parse => self.on_parse(frame).await,
            ClientTag::Bind => self.on_bind(frame).await,
            ClientTag::Describe => self.on_describe(frame).await,
            ClientTag::Execute => self.on_execute(frame).await,
            ClientTag::Close => self.on_close(frame).await,
            // The server ignores these during COPY (manual, "COPY Operations").
            ClientTag::Sync | ClientTag::Flush if self.copying_in => Ok(()),
            ClientTag::Sync => {
                self.settle_exchange().await?;
                self.skipping = false;
                self.names_unsettled |= self.ops.names_in_flight();
                self.forward(frame);
                self.ops.push(Op::Sync { shown: true });
                Ok(())
            }
            ClientTag::Flush => {
                self.forward(frame);
                Ok(())
            }
            ClientTag::CopyData | ClientTag::CopyDone | ClientTag::CopyFail => {
                // Outside COPY the server ignores these, and so do we.
                if self.copying_in { Box::pin(self.on_copy_input(frame, tag)).await } else { Ok(()) }
            }
            ClientTag::FunctionCall => Box::pin(self.on_function_call(frame)).await,
            ClientTag::Password => Err(Ended::Protocol("unexpected password message".into())),
            ClientTag::Terminate => {
                self.hung_up = Some(Ended::Client);
                Ok(())
            }
        }
    }
}
