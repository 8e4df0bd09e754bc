//! The world: a shop that keeps customers, orders, their lines and its visitors' sessions in one table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ScalarAttributeType};
use example_world::{Database, Failure};

pub(crate) const TABLE: &str = "shop";
const CUSTOMERS: u64 = 60;
const ORDERS: u64 = 5;
const CITIES: [&str; 4] = ["Aachen", "Bremen", "Coburg", "Dresden"];
/// The sort key of the order whose date is not a date.
pub(crate) const POISON: &str = "ORDER#order-17-3";

pub(crate) type Item = HashMap<String, AttributeValue>;

/// How many items of each type were written, and how many writes and deletions of them there were.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) customers: u64,
    pub(crate) orders: u64,
    pub(crate) lines: u64,
    pub(crate) sessions: u64,
    pub(crate) changes: usize,
}

/// The shop's day: customers come, order, and return; orders are paid and shipped, and some are cancelled and deleted.
pub(crate) async fn trade(database: &Database) -> Result<Written, Failure> {
    let text = ScalarAttributeType::S;
    database.create_table(TABLE, &[("pk", text.clone()), ("sk", text)]).await?;
    let mut shop = Shop { database, written: Written::default() };
    for customer in 0..CUSTOMERS {
        shop.welcome(customer).await?;
    }
    for customer in 0..CUSTOMERS {
        shop.return_goods(customer).await?;
    }
    Ok(shop.written)
}

struct Shop<'a> {
    database: &'a Database,
    written: Written,
}

impl Shop<'_> {
    /// A customer registers, moves house perhaps, and orders; each visit is noted.
    async fn welcome(&mut self, customer: u64) -> Result<(), Failure> {
        let moves = usize::from(customer.is_multiple_of(5));
        let city = |moved: usize| CITIES[(customer as usize + moved) % CITIES.len()];
        self.put(session(customer)).await?;
        for visit in 0..4 {
            let city = if visit < 2 { city(0) } else { city(moves) };
            self.put(customer_item(customer, city, visit)).await?;
        }
        (self.written.customers, self.written.sessions) = (self.written.customers + 1, self.written.sessions + 1);
        for order in 0..ORDERS {
            self.order(customer, order).await?;
        }
        self.delete(&session(customer)).await
    }

    /// An order with its lines, which is then paid and shipped.
    async fn order(&mut self, customer: u64, order: u64) -> Result<(), Failure> {
        let item = order_item(customer, order, 0);
        let steps = if item["sk"] == AttributeValue::S(POISON.to_owned()) { 0 } else { (customer + order) % 3 };
        self.put(item).await?;
        for line in 0..lines(order) {
            self.put(line_item(customer, order, line)).await?;
            self.written.lines += 1;
        }
        for step in 1..=steps {
            self.put(order_item(customer, order, step)).await?;
        }
        self.written.orders += 1;
        Ok(())
    }

    /// One order of every third customer is deleted, with its lines.
    async fn return_goods(&mut self, customer: u64) -> Result<(), Failure> {
        if !customer.is_multiple_of(3) {
            return Ok(());
        }
        let order = customer % ORDERS;
        self.delete(&order_item(customer, order, 0)).await?;
        for line in 0..lines(order) {
            self.delete(&line_item(customer, order, line)).await?;
        }
        Ok(())
    }

    async fn put(&mut self, item: Item) -> Result<(), Failure> {
        self.database.client.put_item().table_name(TABLE).set_item(Some(item)).send().await?;
        self.written.changes += 1;
        Ok(())
    }

    async fn delete(&mut self, item: &Item) -> Result<(), Failure> {
        let delete = self.database.client.delete_item().table_name(TABLE);
        delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await?;
        self.written.changes += 1;
        Ok(())
    }
}

fn lines(order: u64) -> u64 {
    1 + order % 3
}

/// An item of a customer: the keys, the strings and the numbers.
fn item(customer: u64, sk: String, texts: &[(&str, String)], numbers: &[(&str, u64)]) -> Item {
    let keys = [("pk", format!("CUSTOMER#{customer:02}")), ("sk", sk)];
    let text = |(name, value): &(&str, String)| ((*name).to_owned(), AttributeValue::S(value.clone()));
    let number = |(name, value): &(&str, u64)| ((*name).to_owned(), AttributeValue::N(value.to_string()));
    keys.iter().chain(texts).map(text).chain(numbers.iter().map(number)).collect()
}

fn session(customer: u64) -> Item {
    item(customer, format!("SESSION#{customer:02}"), &[], &[("expires", 1_767_225_600 + customer)])
}

fn customer_item(customer: u64, city: &str, visit: u64) -> Item {
    let texts = [
        ("id", format!("customer-{customer:02}")),
        ("name", format!("Customer {customer}")),
        ("city", city.to_owned()),
    ];
    item(customer, "CUSTOMER".to_owned(), &texts, &[("last_seen", 1_767_225_600 + visit), ("version", visit + 1)])
}

fn order_item(customer: u64, order: u64, step: u64) -> Item {
    let sk = format!("ORDER#order-{customer:02}-{order}");
    let placed = if sk == POISON { "soon".to_owned() } else { format!("2026-01-{:02}", 1 + customer % 28) };
    let texts = [
        ("id", format!("order-{customer:02}-{order}")),
        ("customer", format!("customer-{customer:02}")),
        ("placed", placed),
        ("status", ["new", "paid", "shipped"][step as usize].to_owned()),
    ];
    item(customer, sk, &texts, &[("cents", 995 + 100 * order), ("version", step + 1)])
}

fn line_item(customer: u64, order: u64, line: u64) -> Item {
    let id = format!("order-{customer:02}-{order}/{line}");
    let texts = [
        ("id", id.clone()),
        ("order", format!("order-{customer:02}-{order}")),
        ("product", format!("product-{}", (customer + line) % 7)),
    ];
    item(customer, format!("LINE#{id}"), &texts, &[("quantity", 1 + line), ("version", 1)])
}
