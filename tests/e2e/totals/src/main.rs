//! The function of the guide on guards: the total of each customer's orders, exact whatever is delivered again.
//!
//! An order that wishes for a crash ends the process when its transaction is answered, before its mark is written. That happens once: when
//! the order is delivered again, its guard refuses the transaction.

use std::sync::Arc;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use lambda_streams::{AwsResultExt, Guard, GuardOutcome, HandlerError, Insert, Marks, Stale, StreamProcessor, with};

#[derive(serde::Deserialize)]
struct Order {
    id: String,
    customer: String,
    cents: i64,
    #[serde(default)]
    wish: String,
}

struct Totals {
    client: Client,
    table: String,
    guard: Guard,
}

impl Totals {
    async fn add(self: Arc<Self>, change: Insert<Order>) -> Result<(), HandlerError> {
        let transaction = self
            .client
            .transact_write_items()
            .transact_items(self.guard.once(&change)?)
            .transact_items(self.total(&change.new)?);
        let Err(error) = transaction.send().await else {
            tracing::info!(order = change.new.id, "order added");
            if change.new.wish == "crash" {
                std::process::abort();
            }
            return Ok(());
        };
        match self.guard.outcome(&error, &change) {
            GuardOutcome::Done | GuardOutcome::Stale => {
                tracing::info!(order = change.new.id, "order was added before");
                Ok(())
            }
            // A total that is frozen, which is permanent; or throttling, or somebody else's transaction on the same total.
            GuardOutcome::NotMine => Err(error).classify(),
        }
    }

    /// Adds the order to its customer's total, unless that is frozen.
    fn total(&self, order: &Order) -> Result<TransactWriteItem, HandlerError> {
        let update = Update::builder()
            .table_name(&self.table)
            .key("customer", AttributeValue::S(order.customer.clone()))
            .update_expression("ADD cents :cents, orders :one")
            .condition_expression("attribute_not_exists(frozen)")
            .expression_attribute_values(":cents", AttributeValue::N(order.cents.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .build()?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let totals =
        Totals { client: Client::new(&config), table: std::env::var("TOTALS_TABLE")?, guard: Guard::from_env()? };
    let processor = StreamProcessor::builder_from_env()?
        .on_insert(with(Arc::new(totals), Totals::add))
        .marks(Marks::new(Stale::Process))
        .build()?;
    lambda_streams::run(processor).await
}
