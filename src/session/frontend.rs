//! The client's messages, dispatched: `simple` and `extended` handle those that carry statements.

use super::ops::Op;
use super::peer::Stream;
use super::{Ended, Session};
use crate::policy::{GlsCode, Refusal};
use crate::wire::frame::Frame;
use crate::wire::message::ClientTag;

impl<C: Stream, S: Stream> Session<C, S> {
    /// Handles one message of the client.
    pub(super) async fn on_client(&mut self, frame: Frame) -> Result<(), Ended> {
        let Some(tag) = ClientTag::of(frame.tag()) else {
            return Err(Ended::Protocol(format!("invalid frontend message type {}", frame.tag())));
        };
        if self.skipping && !matches!(tag, ClientTag::Sync | ClientTag::Terminate) {
            return Ok(());
        }
        let copies = matches!(tag, ClientTag::CopyData | ClientTag::CopyDone | ClientTag::CopyFail);
        let passive = copies || matches!(tag, ClientTag::Sync | ClientTag::Flush | ClientTag::Terminate);
        if self.copy_due {
            self.await_copy().await?;
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
                if self.copying_in {
                    self.copying_in = tag == ClientTag::CopyData;
                    self.forward(frame);
                }
                Ok(())
            }
            ClientTag::FunctionCall => {
                self.quiesce().await?;
                let refusal = Refusal::new(
                    GlsCode::CannotGuard,
                    "the function call message is not supported: call the function in a SELECT",
                );
                self.refuse_simple("(function call message)", &refusal).await
            }
            ClientTag::Password => Err(Ended::Protocol("unexpected password message".into())),
            ClientTag::Terminate => Err(Ended::Client),
        }
    }
}
