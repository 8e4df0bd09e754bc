//! One invocation: what came, who deals with it, and what is answered.

use std::time::{Duration, Instant};

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use aws_lambda_events::http::StatusCode;
use aws_lambda_events::streams::SqsEventResponse;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use lambda_streams::{
    DeadLetterEvent, DeadLetterQueue, Error, PayloadKind, StreamEvent, StreamProcessor, StreamResponse,
};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tracing::{Instrument, error, info, info_span};

use crate::api::{self, Call, Refused};
use crate::config::Config;
use crate::counters::Counters;
use crate::handlers::Handlers;
use crate::journal::LogJournal;
use crate::on_demand::{self, MAX_RECORDS, OnDemand};
use crate::processor;

/// What lives as long as the execution environment.
#[derive(Debug)]
pub(crate) struct Function {
    stream: StreamProcessor,
    on_demand: OnDemand,
    counters: Counters,
    config: Config,
    started: String,
}

/// What the function answers, to an event source mapping or to API Gateway.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Stream(StreamResponse),
    Redrive(SqsEventResponse),
    Api(Box<ApiGatewayProxyResponse>),
}

impl Function {
    pub(crate) fn new(config: Config, queue: impl DeadLetterQueue) -> Result<Self, Error> {
        let stream =
            processor::builder(&config.processing, &Handlers::new(LogJournal)).dead_letter_queue(queue).build()?;
        let on_demand = OnDemand::new(&config.processing, &config.table_name)?;
        Ok(Self { stream, on_demand, counters: Counters::default(), config, started: api::timestamp() })
    }

    /// Answers one invocation; an event that is neither a stream's, nor one of dead letters, nor the API's fails it.
    pub(crate) async fn call(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Diagnostic> {
        let LambdaEvent { payload, context, .. } = event;
        self.counters.invocations.add(1);
        // Nearly every invocation is the stream's: only what is refused as such is looked at once more.
        let answer = match self.call_stream(&payload, &context).await {
            Ok(answer) => Ok(answer),
            Err(error) => match error.payload_kind() {
                Some(PayloadKind::RestApi) => self.call_api(&payload, &context).await,
                Some(PayloadKind::Sqs) => self.call_redrive(&payload, &context).await,
                _ => Err(error.into()),
            },
        };
        if let Err(diagnostic) = &answer {
            error!(errorType = diagnostic.error_type, error = diagnostic.error_message, "invocation failed");
        }
        answer
    }

    async fn call_stream(&self, payload: &RawValue, context: &Context) -> Result<Answer, lambda_streams::Error> {
        let payload = payload.get().as_bytes().to_vec();
        let processed =
            self.stream.process_payload(payload, context).instrument(info_span!("stream", source = "stream"));
        let report = processed.await?;
        self.counters.stream.add(&report.counts());
        Ok(Answer::Stream(report.response()?))
    }

    /// Dead letters that someone put back.
    async fn call_redrive(&self, payload: &RawValue, context: &Context) -> Result<Answer, Diagnostic> {
        let event = DeadLetterEvent::from_slice(payload.get().as_bytes())?;
        let report = self.stream.redrive(event, context).instrument(info_span!("redrive", source = "redrive")).await;
        self.counters.redrive.add(&report.batch().counts());
        Ok(Answer::Redrive(report.response()))
    }

    async fn call_api(&self, payload: &RawValue, context: &Context) -> Result<Answer, Diagnostic> {
        let started = Instant::now();
        let request: ApiGatewayProxyRequest = serde_json::from_str(payload.get()).map_err(|error| {
            let place = format!("at line {}, column {}", error.line(), error.column());
            refused(&format!("the payload looks like an API Gateway REST API event, and cannot be read {place}"))
        })?;
        let response = match api::call(&request) {
            Ok(Call::Status) => self.status(context),
            Ok(Call::Ping) => ping(context),
            Ok(Call::Process(body)) => {
                self.process(&body, context).await.unwrap_or_else(|refused| api::refuse(&refused, &context.request_id))
            }
            Err(refused) => api::refuse(&refused, &context.request_id),
        };
        info!(
            source = "api",
            method = request.http_method.as_str(),
            status = response.status_code,
            caller = request.request_context.identity.user_arn,
            duration_ms = millis(started.elapsed()),
            "request answered"
        );
        Ok(Answer::Api(Box::new(response)))
    }

    async fn process(&self, body: &[u8], context: &Context) -> Result<ApiGatewayProxyResponse, Refused> {
        let event = StreamEvent::from_slice(body)
            .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, format!("in the body, {error}")))?;
        if event.len() > MAX_RECORDS {
            let message = format!("the body has {} records, and may have {MAX_RECORDS}", event.len());
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let refusals = self.on_demand.refusals(&event);
        if !refusals.is_empty() {
            let message = format!("{} of {} records are refused, and none is processed", refusals.len(), event.len());
            let details = json!(refusals);
            return Err(Refused { details, ..Refused::new(StatusCode::BAD_REQUEST, message) });
        }
        let report = self.on_demand.process(event, context).await;
        let counts = report.counts();
        self.counters.api.add(&counts);
        let all_done = counts.succeeded + counts.skipped == counts.received;
        let status = if all_done { StatusCode::OK } else { StatusCode::MULTI_STATUS };
        let body = json!({
            "requestId": context.request_id,
            "timestamp": api::timestamp(),
            "functionVersion": context.env_config.version,
            "total": counts.received,
            "succeeded": counts.succeeded,
            "skipped": counts.skipped,
            "notSucceeded": counts.received - counts.succeeded - counts.skipped,
            "records": on_demand::outcomes(&report),
        });
        Ok(api::answer(status, &body))
    }

    fn status(&self, context: &Context) -> ApiGatewayProxyResponse {
        let settings = &self.config.processing;
        let body = json!({
            "functionName": context.env_config.function_name,
            "functionVersion": context.env_config.version,
            "packageVersion": env!("CARGO_PKG_VERSION"),
            "startedAt": self.started,
            "timestamp": api::timestamp(),
            "configuration": {
                "tableName": self.config.table_name,
                // The queue's name alone: its URL tells the account.
                "deadLetterQueue": self.config.dlq_url.rsplit('/').next(),
                "logLevel": self.config.log_level.as_str(),
                "concurrency": settings.concurrency,
                "maxAttempts": settings.max_attempts,
                "retryBaseMs": millis(settings.retry_base),
                "retryMaxMs": millis(settings.retry_max),
                "handlerTimeoutMs": millis(settings.handler_timeout),
                "giveUpAfterSeconds": settings.give_up_after.as_secs(),
                "reportBatchItemFailures": settings.report_batch_item_failures,
            },
            "counters": self.counters.to_json(),
        });
        api::answer(StatusCode::OK, &body)
    }
}

fn ping(context: &Context) -> ApiGatewayProxyResponse {
    let body = json!({
        "message": "nothing to process: post {\"Records\": [...]}",
        "requestId": context.request_id,
        "timestamp": api::timestamp(),
        "functionVersion": context.env_config.version,
    });
    api::answer(StatusCode::OK, &body)
}

/// Milliseconds, to a thousandth.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn refused(message: &str) -> Diagnostic {
    Diagnostic { error_type: "StreamProcessor.Event".to_owned(), error_message: message.to_owned() }
}
