//! Events as Lambda delivers them: compact JSON, one line, members in the service's order.

use std::fmt::Write as _;

/// What the records of an event are like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub records: usize,
    /// How many different items the records are about.
    pub items: usize,
    /// Further bytes of text in each image; none for the 1.6 KB record that the tables are about.
    pub padding: usize,
    /// One record in this many has an image that does not decode; 0 for none.
    pub broken_every: usize,
    pub images: bool,
}

impl Shape {
    /// Modifications of as many items, both images of 13 attributes, 1.6 KB a record.
    pub fn of(records: usize) -> Self {
        Self { records, items: records, padding: 0, broken_every: 0, images: true }
    }
}

/// An invocation's payload.
pub fn payload(shape: Shape) -> Vec<u8> {
    let mut json = String::with_capacity(64 + shape.records * (1_600 + 2 * shape.padding));
    json.push_str(r#"{"Records":["#);
    for number in 0..shape.records {
        if number > 0 {
            json.push(',');
        }
        record(&mut json, shape, number);
    }
    json.push_str("]}");
    json.into_bytes()
}

fn record(json: &mut String, shape: Shape, number: usize) {
    let broken = shape.broken_every > 0 && number % shape.broken_every == shape.broken_every - 1;
    let (id, timestamp) = (number % shape.items, 1_767_225_600 + number / shape.items);
    let _ = write!(
        json,
        concat!(
            r#"{{"eventID":"{number:032x}","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","#,
            r#""awsRegion":"eu-central-1","dynamodb":{{"ApproximateCreationDateTime":1767225600.0,"#,
            r#""Keys":{{"id":{{"S":"order-{id:08}"}},"timestamp":{{"N":"{timestamp}"}}}},"#
        ),
        number = number,
        id = id,
        timestamp = timestamp
    );
    if shape.images {
        json.push_str(r#""NewImage":"#);
        image(json, id, timestamp, if broken { None } else { Some("SHIPPED") }, shape.padding);
        json.push_str(r#","OldImage":"#);
        image(json, id, timestamp, Some("PENDING"), shape.padding);
        json.push(',');
    }
    let _ = write!(
        json,
        concat!(
            r#""SequenceNumber":"{:025}","SizeBytes":812,"StreamViewType":"NEW_AND_OLD_IMAGES"}},"#,
            r#""eventSourceARN":"arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"}}"#
        ),
        4_421_584_500_000_000_u64 + number as u64
    );
}

/// 13 attributes: strings, numbers, a set, a list of maps, a map, a boolean and a null. No status: it does not decode.
fn image(json: &mut String, id: usize, timestamp: usize, status: Option<&str>, padding: usize) {
    let _ = write!(
        json,
        concat!(
            r#"{{"id":{{"S":"order-{id:08}"}},"timestamp":{{"N":"{timestamp}"}},"customer":{{"S":"customer-{customer:06}"}},"#,
            r#""email":{{"S":"customer-{customer:06}@example.com"}},"total":{{"N":"{total}.95"}},"currency":{{"S":"EUR"}},"#,
            r#""quantity":{{"N":"{quantity}"}},"paid":{{"BOOL":true}},"coupon":{{"NULL":true}},"#,
            r#""tags":{{"SS":["express","gift","new"]}},"#,
            r#""address":{{"M":{{"street":{{"S":"Hauptstraße {house}"}},"city":{{"S":"Berlin"}},"zip":{{"S":"10115"}}}}}},"#,
            r#""lines":{{"L":[{{"M":{{"sku":{{"S":"sku-{sku:05}"}},"price":{{"N":"19.95"}}}}}},"#,
            r#"{{"M":{{"sku":{{"S":"sku-{sku:05}"}},"price":{{"N":"5"}}}}}}]}}"#
        ),
        id = id,
        timestamp = timestamp,
        customer = id % 1_000,
        total = id % 900,
        quantity = id % 9 + 1,
        house = id % 200,
        sku = id % 70_000
    );
    if let Some(status) = status {
        let _ = write!(json, r#","status":{{"S":"{status}"}}"#);
    }
    if padding > 0 {
        let _ = write!(json, r#","description":{{"S":"{}"}}"#, "x".repeat(padding));
    }
    json.push('}');
}
