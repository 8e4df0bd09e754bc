//! The guide: a page for each task.
//!
// Links to the other pages as rustdoc has them: the first definition of a link is the one that holds. Those in the page are for readers of
// the repository.
#![doc = "[getting started]: getting_started"]
#![doc = "[clients]: clients"]
#![doc = "[single-table design]: single_table"]
#![doc = "[bulk sinks]: bulk_sinks"]
#![doc = "[testing]: testing"]
#![doc = "[order and lanes]: order"]
#![doc = "[failures]: failures"]
#![doc = "[idempotency]: idempotency"]
#![doc = "[deploying]: deploying"]
#![doc = "[local development]: local_development"]
#![doc = "[operating]: operating"]
#![doc = "[ways back]: ways_back"]
#![doc = "[performance]: performance"]
#![doc = "[from `aws_lambda_events`]: from_aws_lambda_events"]
#![doc = "[from Powertools]: from_powertools"]
#![doc = "[environment]: environment"]
#![doc = "[glossary]: glossary"]
#![doc = "[FAQ]: faq"]
#![doc = "[when a handler does not compile]: faq#when-a-handler-does-not-compile"]
#![doc = ""]
#![doc = include_str!("docs/guide.md")]

#[doc = include_str!("docs/getting_started.md")]
pub mod getting_started {}

#[cfg(feature = "aws-errors")]
#[doc = include_str!("docs/clients.md")]
#[doc = "\nAvailable with the feature `aws-errors`."]
pub mod clients {}

#[doc = include_str!("docs/single_table.md")]
pub mod single_table {}

#[cfg(feature = "aws-errors")]
#[doc = include_str!("docs/bulk_sinks.md")]
#[doc = "\nAvailable with the feature `aws-errors`."]
pub mod bulk_sinks {}

pub mod order {
    // Pictures as links that show on any host: the first definition of a link is the one that holds.
    #![doc = include_str!("docs/lanes.link")]
    #![doc = "\n"]
    #![doc = include_str!("docs/order.md")]
}

pub mod failures {
    // Pictures as links that show on any host: the first definition of a link is the one that holds.
    #![doc = include_str!("docs/record.link")]
    #![doc = include_str!("docs/checkpoint.link")]
    #![doc = "\n"]
    #![doc = include_str!("docs/failures.md")]
}

#[doc = include_str!("docs/ways_back.md")]
pub mod ways_back {}

#[doc = include_str!("docs/idempotency.md")]
#[cfg_attr(feature = "dynamodb", doc = include_str!("docs/idempotency_guards.md"))]
#[doc = include_str!("docs/idempotency_sinks.md")]
pub mod idempotency {}

#[doc = include_str!("docs/testing.md")]
pub mod testing {}

#[doc = include_str!("docs/local_development.md")]
pub mod local_development {}

#[doc = include_str!("docs/deploying.md")]
pub mod deploying {}

#[cfg(all(feature = "emf", feature = "logs"))]
pub mod operating {
    // The page's picture as a link that shows on any host: the first definition of a link is the one that holds.
    #![doc = include_str!("docs/dashboard.link")]
    #![doc = "\n"]
    #![doc = include_str!("docs/operating.md")]
    #![doc = "\nAvailable with the features `emf` and `logs`."]
}

#[doc = include_str!("docs/performance.md")]
pub mod performance {}

#[cfg(feature = "aws_lambda_events")]
#[doc = include_str!("docs/from_aws_lambda_events.md")]
#[doc = "\nAvailable with the feature `aws_lambda_events`."]
pub mod from_aws_lambda_events {}

#[doc = include_str!("docs/from_powertools.md")]
pub mod from_powertools {}

#[doc = include_str!("docs/faq.md")]
pub mod faq {}

#[doc = include_str!("docs/environment.md")]
pub mod environment {}

#[doc = include_str!("docs/glossary.md")]
pub mod glossary {}
