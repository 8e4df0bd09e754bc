//! The world: a shop whose orders are placed, changed and cancelled.

use aws_sdk_dynamodb::types::{AttributeValue, ScalarAttributeType};
use example_world::{Database, Failure};

pub(crate) const ORDERS: &str = "orders";
pub(crate) const TOTALS: &str = "totals";
/// The guards of the changes that are in the totals.
pub(crate) const GUARDS: &str = "guards";
const PLACED: u32 = 300;
/// The order that has no customer, so it cannot be added to a total.
const POISON: u32 = 123;
const SEED: u64 = 20_260_103;

/// Makes the tables and changes the orders; returns how many changes that were.
pub(crate) async fn trade(database: &Database) -> Result<usize, Failure> {
    database.create_table(ORDERS, &[("id", ScalarAttributeType::S)]).await?;
    database.create_table(TOTALS, &[("customer", ScalarAttributeType::S), ("day", ScalarAttributeType::S)]).await?;
    database.create_idempotency_table(GUARDS).await?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut changes = 0;
    for number in 0..PLACED {
        put(database, &mut random, number).await?;
        changes += 1;
        // Later changes come between those of others. What is changed is another amount, and often another customer or day.
        let earlier = random.u32(0..=number);
        if earlier != POISON {
            match random.u32(0..4) {
                0 | 1 => changes += usize::from(put(database, &mut random, earlier).await?),
                2 => {
                    let cancelled = database.client.delete_item().table_name(ORDERS).key("id", id(earlier));
                    let cancelled =
                        cancelled.return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld).send().await?;
                    // To cancel what is not there is no change.
                    changes += usize::from(cancelled.attributes.is_some());
                }
                _ => {}
            }
        }
    }
    Ok(changes)
}

/// Places or changes an order.
async fn put(database: &Database, random: &mut fastrand::Rng, number: u32) -> Result<bool, Failure> {
    let customer = if number == POISON { String::new() } else { format!("customer-{}", random.u32(0..8)) };
    let order = database.client.put_item().table_name(ORDERS).item("id", id(number));
    let order = order.item("customer", AttributeValue::S(customer));
    let order = order.item("day", AttributeValue::S(format!("2026-01-{:02}", random.u32(1..4))));
    order.item("cents", AttributeValue::N(random.u32(1..100_000).to_string())).send().await?;
    Ok(true)
}

fn id(number: u32) -> AttributeValue {
    AttributeValue::S(format!("order-{number:03}"))
}
