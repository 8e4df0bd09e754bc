//! One invocation: the kind of its payload, who processes it, and the answer.

use std::time::{Duration, Instant};

use aws_lambda_events::apigw::{ApiGatewayProxyRequest, ApiGatewayProxyResponse};
use aws_lambda_events::http::StatusCode;
use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use lambda_streams::{
    Error, InvocationReport, InvocationResponse, PayloadKind, ProcessorSettings, StreamEvent, StreamProcessor,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::{error, info};

use crate::api::{self, Call, Refused};
use crate::counters::Counters;
use crate::handlers::Handlers;
use crate::journal::LogJournal;
use crate::on_demand::{self, MAX_RECORDS, OnDemand};
use crate::{processor, table};

/// What lives as long as the execution environment.
#[derive(Debug)]
pub(crate) struct Function {
    stream: StreamProcessor,
    on_demand: OnDemand,
    counters: Counters,
    table_name: String,
    /// The queue's name alone: its URL tells the account.
    queue_name: String,
    started: String,
}

/// What the function answers, to an event source mapping or to API Gateway.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Mapping(InvocationResponse),
    Api(Box<ApiGatewayProxyResponse>),
}

impl Function {
    /// Reads the settings of the library and the name of the table. Every fault is in one error.
    pub(crate) fn from_env() -> Result<Self, lambda_runtime::Error> {
        match (StreamProcessor::builder_from_env(), table::name_from_env()) {
            (Ok(builder), Ok(table_name)) => {
                let queue_url = std::env::var("DLQ_URL");
                let queue_url =
                    queue_url.map_err(|_| "`DLQ_URL` is not set: set it to the URL of the dead-letter queue")?;
                let handlers = Handlers::new(LogJournal);
                Ok(Self {
                    stream: processor::with_handlers(builder, &handlers).build()?,
                    on_demand: OnDemand::from_env(&handlers, &table_name)?,
                    counters: Counters::default(),
                    table_name,
                    queue_name: queue_url.rsplit('/').next().map(str::to_owned).ok_or("`DLQ_URL` is empty")?,
                    started: api::timestamp(),
                })
            }
            (Err(library), Err(own)) => Err(format!("{library}; {own}").into()),
            (Err(library), Ok(_)) => Err(library.into()),
            (Ok(_), Err(own)) => Err(own.into()),
        }
    }

    /// Answers one invocation; an event that is neither a stream's, nor one of dead letters, nor the API's fails it.
    pub(crate) async fn call(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Diagnostic> {
        let LambdaEvent { payload, context, .. } = event;
        self.counters.invocations.add(1);
        // Nearly every invocation is the stream's: only what the library refuses is examined again.
        let answer = match self.call_mapping(&payload, &context).await {
            Ok(answer) => Ok(answer),
            Err(error) if error.payload_kind() == Some(PayloadKind::RestApi) => self.call_api(&payload, &context).await,
            Err(error) => Err(error.into()),
        };
        if let Err(diagnostic) = &answer {
            error!(errorType = diagnostic.error_type, error = diagnostic.error_message, "invocation failed");
        }
        answer
    }

    /// Changes of the table, or dead letters that someone put back.
    async fn call_mapping(&self, payload: &RawValue, context: &Context) -> Result<Answer, Error> {
        let payload = payload.get().as_bytes().to_vec();
        let processed = self.stream.process_invocation(payload, context);
        let report = processed.await?;
        let counters = match report {
            InvocationReport::Redrive(_) => &self.counters.redrive,
            _ => &self.counters.stream,
        };
        counters.add(&report.batch().counts());
        Ok(Answer::Mapping(report.response()?))
    }

    async fn call_api(&self, payload: &RawValue, context: &Context) -> Result<Answer, Diagnostic> {
        let started = Instant::now();
        let request: ApiGatewayProxyRequest = serde_json::from_str(payload.get()).map_err(|error| {
            let place = format!("at line {}, column {}", error.line(), error.column());
            refused(&format!("the payload looks like an API Gateway REST API event, but cannot be read {place}"))
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
        let body = json!({
            "functionName": context.env_config.function_name,
            "functionVersion": context.env_config.version,
            "packageVersion": env!("CARGO_PKG_VERSION"),
            "startedAt": self.started,
            "timestamp": api::timestamp(),
            "configuration": self.configuration(&self.stream.settings()),
            "counters": self.counters.to_json(),
        });
        api::answer(StatusCode::OK, &body)
    }

    fn configuration(&self, settings: &ProcessorSettings) -> Value {
        json!({
            "tableName": self.table_name,
            "deadLetterQueue": self.queue_name,
            "concurrency": settings.concurrency,
            "maxAttempts": settings.max_attempts,
            "retryBaseMs": millis(settings.retry_base),
            "retryMaxMs": millis(settings.retry_max),
            "handlerTimeoutMs": settings.handler_timeout.map(millis),
            "giveUpAfterSeconds": settings.give_up_after.as_secs(),
            "reportBatchItemFailures": settings.report_batch_item_failures,
        })
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
