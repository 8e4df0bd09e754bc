//! What the function does with each kind of change.

use lambda_streams::{HandlerError, Insert, Modify, ProcessorBuilder, Record, Remove};
use lambda_streams::{when_changed, with};

use crate::mailer::{Mail, Mailer};
use crate::order::Order;

/// Gives the processor its handlers. The tests use it too, so they test what runs.
pub(crate) fn register<M: Mailer>(builder: ProcessorBuilder, mailer: &M) -> ProcessorBuilder {
    let status_changed = with(mailer.clone(), status_changed);
    builder
        .on_insert(with(mailer.clone(), created))
        .on_modify(when_changed(["status"], status_changed))
        .on_remove(with(mailer.clone(), removed))
}

async fn created<M: Mailer>(mailer: M, change: Insert<Order>) -> Result<(), HandlerError> {
    let order = &change.new;
    tracing::info!(order = order.id, "order created");
    let text = format!("We have received your order {}.", order.id);
    mailer.send(mail(order, &change.record, text)?).await?;
    Ok(())
}

async fn status_changed<M: Mailer>(mailer: M, change: Modify<Order>) -> Result<(), HandlerError> {
    let order = &change.new;
    tracing::info!(order = order.id, status = order.status, "order changed");
    let text = format!("Your order {} is now {}.", order.id, order.status);
    mailer.send(mail(order, &change.record, text)?).await?;
    Ok(())
}

async fn removed<M: Mailer>(mailer: M, change: Remove<Order>) -> Result<(), HandlerError> {
    let order = &change.old;
    let expired = change.record.is_ttl_expiry();
    tracing::info!(order = order.id, expired, "order removed");
    let end = if expired { "closed" } else { "cancelled" };
    let text = format!("Your order {} was {end}.", order.id);
    mailer.send(mail(order, &change.record, text)?).await?;
    Ok(())
}

/// `?` makes a retryable error of any error. A permanent error is for what no further attempt can
/// change: the record goes to the dead-letter queue at once.
fn mail(order: &Order, record: &Record, text: String) -> Result<Mail, HandlerError> {
    if !order.customer.contains('@') {
        return Err(HandlerError::permanent("the customer is not an address"));
    }
    let id = record.idempotency_key().into_owned();
    Ok(Mail {
        id,
        to: order.customer.clone(),
        text,
    })
}
