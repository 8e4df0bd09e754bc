//! Metrics as documents of the embedded metric format: nothing dropped, nothing that CloudWatch would refuse.

use std::time::Duration;

use lambda_streams::{Emf, EmfBuilder};
use metrics::{Unit, counter, gauge, histogram, with_local_recorder};

use crate::support::emf::{Document, Written, numbers, sum};

fn builder(written: &Written) -> EmfBuilder {
    Emf::builder().namespace("Orders").service("stream").writer(written.clone())
}

/// What `record` records, as documents.
fn written(record: impl FnOnce()) -> Vec<Document> {
    let written = Written::default();
    let emf = builder(&written).build().unwrap();
    with_local_recorder(&emf, record);
    emf.flush();
    written.documents()
}

#[test]
fn a_document_has_dimensions_and_metrics() {
    let documents = written(|| {
        metrics::describe_counter!("shipped", Unit::Count, "orders shipped");
        counter!("shipped", "country" => "de").increment(3);
        counter!("shipped", "country" => "fr").increment(4);
        histogram!("weight").record(1.5);
        histogram!("weight").record(2.5);
        gauge!("waiting").set(7.0);
    });
    assert_eq!(documents.len(), 3);
    assert!(
        documents.iter().all(|document| document.namespace == "Orders" && document.member("service") == Some("stream"))
    );
    let german = documents.iter().find(|document| document.member("country") == Some("de")).unwrap();
    assert_eq!(german.dimensions, [vec!["service"], vec!["service", "country"]]);
    assert_eq!(german.metrics["shipped"], ("Count".to_owned(), vec![3.0]));
    assert_eq!(sum(&documents, "shipped", &["service"]), 7.0, "with and without its labels");
    let rest = documents.iter().find(|document| document.member("country").is_none()).unwrap();
    assert_eq!(rest.dimensions, [["service"]]);
    assert_eq!(rest.metrics["weight"], ("None".to_owned(), vec![1.5, 2.5]));
    assert_eq!(rest.metrics["waiting"].1, [7.0]);
}

#[test]
fn every_observation_of_152_metrics_is_written() {
    let documents = written(|| {
        (0..10_000).for_each(|number| histogram!("latency").record(f64::from(number)));
        for number in 0..150_u64 {
            counter!(format!("counter_{number}")).increment(number);
        }
        histogram!("other").record_many(2.5, 250);
    });
    let mut latencies = numbers(&documents, "latency", &["service"]);
    latencies.sort_by(f64::total_cmp);
    assert_eq!(latencies, (0..10_000).map(f64::from).collect::<Vec<_>>());
    assert_eq!(numbers(&documents, "other", &["service"]), vec![2.5; 250]);
    for number in 0..150 {
        assert_eq!(numbers(&documents, &format!("counter_{number}"), &["service"]), [f64::from(number)]);
    }
    assert_eq!(documents.len(), 100, "as few as the limits allow");
}

#[test]
fn finite_numbers_survive_and_others_are_left_out() {
    let values = [0.000_123, 0.000_000_001, 1e300, -5.0, 0.1 + 0.2];
    let documents = written(|| {
        let histogram = histogram!("value");
        values
            .into_iter()
            .chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY])
            .for_each(|value| histogram.record(value));
        counter!("count").increment(u64::MAX);
        histogram!("nothing").record(f64::NAN);
    });
    assert_eq!(numbers(&documents, "value", &["service"]), values);
    assert_eq!(documents[0].json["count"], u64::MAX);
    assert!(numbers(&documents, "nothing", &["service"]).is_empty());
}

#[test]
fn excess_labels_fill_further_dimension_sets() {
    let labels: Vec<(String, String)> =
        (0..70).map(|number| (format!("label_{number:02}"), number.to_string())).collect();
    let documents = written(|| counter!("count", &labels).increment(1));
    assert_eq!(documents.len(), 1);
    let sets = &documents[0].dimensions;
    assert_eq!(sets[0], ["service"]);
    assert!(sets[1..].iter().all(|set| set[0] == "service"));
    let mut named: Vec<&String> = sets[1..].iter().flat_map(|set| &set[1..]).collect();
    named.sort();
    assert_eq!(named, labels.iter().map(|(name, _)| name).collect::<Vec<_>>(), "each label is a dimension once");
}

#[test]
fn a_label_unfit_as_a_dimension_is_a_property() {
    let long = "x".repeat(1_025);
    for value in ["", "  ", "Köln", "a\nb", &long] {
        let documents = written(|| counter!("count", "city" => value.to_owned(), "kind" => "a").increment(1));
        assert_eq!(documents[0].dimensions, [vec!["service"], vec!["service", "kind"]], "{value:?}");
        assert_eq!(documents[0].member("city"), Some(value));
    }
    for name in ["", ":city", "Ort\u{e4}"] {
        let documents = written(|| counter!("count", &[(name.to_owned(), "a".to_owned())]).increment(1));
        assert_eq!(documents[0].dimensions, [["service"]], "{name:?}");
    }
}

#[test]
fn a_document_never_exceeds_256_kb() {
    let name = |number: usize| format!("{number:03}{}", "\"".repeat(300));
    let documents = written(|| {
        for number in 0..300 {
            let histogram = histogram!(name(number));
            (0..150).for_each(|_| histogram.record(std::f64::consts::PI / 1e200));
        }
        let labels: Vec<_> = (0..1_000).map(|number| (format!("l{number}"), "\u{1}".repeat(500))).collect();
        counter!("labelled", &labels).increment(1);
        (0..90).for_each(|_| counter!("c").increment(1));
    });
    let all: usize =
        documents.iter().flat_map(|document| document.metrics.values()).map(|(_, values)| values.len()).sum();
    assert_eq!(all, 300 * 150 + 2);
    assert_eq!(sum(&documents, "labelled", &["service"]), 1.0);
}

#[test]
fn metric_names_never_collide_with_other_members() {
    let documents = written(|| {
        counter!("service").increment(1);
        counter!("_aws").increment(2);
        counter!("kind", "kind" => "a").increment(3);
        counter!("").increment(4);
        counter!("x").increment(5);
        histogram!("x").record(6.0);
        counter!("y", "service" => "other", "_aws" => "b").increment(7);
        counter!("line\nbreak").increment(8);
    });
    for (name, expected) in
        [("_service", 1.0), ("__aws", 2.0), ("_kind", 3.0), ("_", 4.0), ("x", 11.0), ("line_break", 8.0)]
    {
        assert_eq!(sum(&documents, name, &["service"]), expected, "{name}");
    }
    let other = documents.iter().find(|document| document.metrics.contains_key("y")).unwrap();
    assert_eq!(other.member("service"), Some("other"), "a label overrides a shared dimension");
}

#[test]
fn units_are_cloudwatchs_own_or_converted() {
    for (unit, name, factor) in [
        (Unit::Count, "Count", 1.0),
        (Unit::Percent, "Percent", 1.0),
        (Unit::Seconds, "Seconds", 1.0),
        (Unit::Milliseconds, "Milliseconds", 1.0),
        (Unit::Microseconds, "Microseconds", 1.0),
        (Unit::Nanoseconds, "Microseconds", 0.001),
        (Unit::Bytes, "Bytes", 1.0),
        (Unit::Kibibytes, "Bytes", 1_024.0),
        (Unit::Mebibytes, "Bytes", 1_048_576.0),
        (Unit::Gibibytes, "Bytes", 1_073_741_824.0),
        (Unit::Tebibytes, "Bytes", 1_099_511_627_776.0),
        (Unit::BitsPerSecond, "Bits/Second", 1.0),
        (Unit::KilobitsPerSecond, "Kilobits/Second", 1.0),
        (Unit::MegabitsPerSecond, "Megabits/Second", 1.0),
        (Unit::GigabitsPerSecond, "Gigabits/Second", 1.0),
        (Unit::TerabitsPerSecond, "Terabits/Second", 1.0),
        (Unit::CountPerSecond, "Count/Second", 1.0),
    ] {
        let documents = written(|| {
            metrics::describe_histogram!("h", unit, "");
            metrics::describe_counter!("c", unit, "");
            metrics::describe_gauge!("g", unit, "");
            histogram!("h").record(4.0);
            counter!("c").increment(4);
            gauge!("g").set(4.0);
        });
        for metric in ["h", "c", "g"] {
            assert_eq!(documents[0].metrics[metric], (name.to_owned(), vec![4.0 * factor]), "{unit:?}");
        }
    }
}

#[test]
fn values_are_flushed_once_and_handles_live_on() {
    let written = Written::default();
    let emf = builder(&written).build().unwrap();
    let (kept, level) = with_local_recorder(&emf, || (counter!("kept"), gauge!("level")));
    kept.increment(2);
    level.increment(5.0);
    with_local_recorder(&emf, || {
        counter!("absolute").absolute(10);
        counter!("passing", "id" => "1").increment(1);
        counter!("zero").increment(0);
    });
    emf.flush();
    let first = written.documents();
    for (name, expected) in [("kept", 2.0), ("level", 5.0), ("absolute", 10.0), ("passing", 1.0), ("zero", 0.0)] {
        assert_eq!(numbers(&first, name, &["service"]), [expected], "{name}");
    }
    kept.increment(3);
    level.decrement(1.0);
    with_local_recorder(&emf, || counter!("absolute").absolute(12));
    emf.flush();
    let second = written.documents();
    for (name, expected) in
        [("kept", vec![3.0]), ("level", vec![4.0]), ("absolute", vec![2.0]), ("passing", vec![]), ("zero", vec![])]
    {
        assert_eq!(numbers(&second, name, &["service"]), expected, "{name}");
    }
}

#[test]
fn an_empty_flush_writes_nothing() {
    assert!(written(|| {}).is_empty());
}

#[test]
fn concurrent_flushes_lose_and_duplicate_nothing() {
    let written = Written::default();
    let emf = builder(&written).build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..20_000 {
                    with_local_recorder(&emf, || {
                        counter!("count").increment(1);
                        histogram!("value").record(f64::from(number));
                    });
                }
            });
        }
        scope.spawn(|| (0..200).for_each(|_| emf.flush()));
    });
    emf.flush();
    let documents = written.documents();
    assert_eq!(sum(&documents, "count", &["service"]), 80_000.0);
    assert_eq!(numbers(&documents, "value", &["service"]).len(), 80_000);
}

#[test]
fn the_builder_sets_dimensions_properties_and_labels() {
    let written = Written::default();
    let emf = builder(&written)
        .dimension("stage", "test")
        .property("version", "7")
        .label_as_property("order")
        .label_as_dimension("table")
        .build()
        .unwrap();
    with_local_recorder(&emf, || counter!("count", "order" => "1", "table" => "orders").increment(1));
    emf.flush();
    let document = &written.documents()[0];
    assert_eq!(document.dimensions, [vec!["service", "stage"], vec!["service", "stage", "table"]]);
    assert_eq!((document.member("version"), document.member("order")), (Some("7"), Some("1")));
}

#[test]
fn settings_cloudwatch_would_reject_fail_the_build() {
    let many = |count| (0..count).fold(Emf::builder(), |builder, number| builder.dimension(format!("d{number}"), "x"));
    for (builder, named) in [
        (Emf::builder().namespace(""), "namespace"),
        (Emf::builder().namespace("AWS/Lambda"), "AWS/"),
        (Emf::builder().namespace(":orders"), ":orders"),
        (Emf::builder().namespace("x".repeat(256)), "namespace"),
        (Emf::builder().namespace("Bestellungen\u{e4}"), "namespace"),
        (Emf::builder().service(" "), "service"),
        (Emf::builder().dimension("city", "Köln"), "city"),
        (Emf::builder().dimension("_aws", "x"), "_aws"),
        (many(20), "21 dimensions"),
        (Emf::builder().property("_aws", "x"), "_aws"),
        (Emf::builder().property("text", "\u{1}".repeat(10_000)), "properties"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().contains(named), "{error}");
    }
    assert!(many(19).build().is_ok());
}

#[test]
fn a_failing_writer_harms_nothing_else() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::Error::other("broken"))
        }
    }
    let emf = Emf::builder().service("stream").writer(Broken).build().unwrap();
    with_local_recorder(&emf, || histogram!("h").record(Duration::from_millis(1)));
    emf.flush();
}

/// Fails as `println!` does when standard output is closed.
struct PanickingWriter;

impl std::io::Write for PanickingWriter {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        panic!("standard output is closed")
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_panics_fails_nobody() {
    let emf = lambda_streams::Emf::builder().service("orders").writer(PanickingWriter).build().unwrap();
    metrics::with_local_recorder(&emf, || metrics::counter!("orders").increment(1));
    emf.flush();
    emf.flush();
}
