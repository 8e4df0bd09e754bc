//! The processor as a tower service, for `lambda_runtime::run` and for runtimes of your own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use lambda_runtime::LambdaEvent;
use tower_service::Service;

use crate::error::Error;
use crate::event::StreamEvent;
use crate::outcome::StreamResponse;
use crate::processor::StreamProcessor;

impl Service<LambdaEvent<StreamEvent>> for StreamProcessor {
    type Response = StreamResponse;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<StreamResponse, Error>> + Send>>;

    /// Always ready: the concurrency limit applies to handlers, not to invocations.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: LambdaEvent<StreamEvent>) -> Self::Future {
        let processor = self.clone();
        Box::pin(async move {
            let LambdaEvent { payload, context, .. } = event;
            processor.process(payload, &context).await.response()
        })
    }
}
