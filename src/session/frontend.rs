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
        // What a name means after a Sync depends on whether the messages before it succeeded.
        if self.names_unsettled && !matches!(tag, ClientTag::Sync | ClientTag::Flush | ClientTag::Terminate) {
            self.quiesce().await?;
            self.names_unsettled = false;
        }
        match tag {
            ClientTag::Query => self.on_query(frame).await,
            ClientTag::Parse => self.on_parse(frame).await,
            ClientTag::Bind => self.on_bind(frame).await,
            ClientTag::Describe => self.on_describe(frame).await,
            ClientTag::Execute => self.on_execute(frame).await,
            ClientTag::Close => self.on_close(frame).await,
            ClientTag::Sync => {
                self.settle_exchange().await?;
                self.skipping = false;
                self.names_unsettled |= self.ops.names_in_flight();
                self.forward(frame);
                // During COPY the server ignores it.
                if !self.copying_in {
                    self.ops.push(Op::Sync { shown: true });
                }
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
