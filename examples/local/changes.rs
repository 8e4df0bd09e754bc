//! The changes: every item is put, some are updated, some deleted, some of these put again.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt};
use indicatif::ProgressBar;

use crate::Failure;
use crate::database::{Database, cause};
use crate::items::Item;

/// How many items are changed at once; the changes of one item follow each other.
const AT_ONCE: usize = 16;

/// What happens to an item, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Put,
    /// Sets an attribute to this number, which it does not have yet.
    Update(u32),
    Delete,
}

/// What happens to one item: each of these writes a record to the stream.
pub(crate) fn plan(random: &mut fastrand::Rng) -> Vec<Change> {
    let mut changes = vec![Change::Put];
    changes.extend((0..random.u32(0..=2)).map(Change::Update));
    if random.u32(0..4) == 0 {
        changes.push(Change::Delete);
        if random.bool() {
            changes.push(Change::Put);
        }
    }
    changes
}

/// Makes the changes, and ticks the bar for each.
pub(crate) async fn make(
    database: &Database,
    plans: Vec<(Item, Vec<Change>)>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let all = plans.into_iter().map(|(item, changes)| async move {
        for change in changes {
            make_one(database, &item, change).await?;
            bar.inc(1);
        }
        Ok(())
    });
    futures::stream::iter(all).buffer_unordered(AT_ONCE).try_collect().await
}

async fn make_one(database: &Database, item: &Item, change: Change) -> Result<(), Failure> {
    let (items, table) = (&database.items, &database.table);
    let key: Item = ["id", "timestamp"].map(|name| (name.to_owned(), item[name].clone())).into();
    let made = match change {
        Change::Put => {
            items.put_item().table_name(table).set_item(Some(item.clone())).send().await.map(drop).map_err(text)
        }
        Change::Update(number) => {
            let update =
                items.update_item().table_name(table).set_key(Some(key)).update_expression("SET #revision = :number");
            let update = update.expression_attribute_names("#revision", "lambda-streams:revision");
            let number = AttributeValue::N(number.to_string());
            update.expression_attribute_values(":number", number).send().await.map(drop).map_err(text)
        }
        Change::Delete => items.delete_item().table_name(table).set_key(Some(key)).send().await.map(drop).map_err(text),
    };
    made.map_err(|error| Failure::setup(format!("cannot write to table {table}: {error}")))
}

fn text(error: impl std::error::Error + 'static) -> String {
    cause(&error)
}
