//! A run goes over a queue in rounds, and holds what it has received.

use super::*;

#[tokio::test]
async fn a_fifo_queue_gives_the_letters_of_an_item_round_by_round() {
    let server = FakeServer::start([]).await;
    for number in 1..=36 {
        let item = ["a", "b", "c"][number as usize % 3];
        server.send(letter(number, item), Some(item));
    }
    let queue = server.url("dead-letters.fifo");
    let ended = Redrive::of("fifo", &server, &["--queue", &queue]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert!(ended.left.is_empty() && ended.ran.stdout.starts_with("36 dead letters: 36 done"), "{}", ended.ran.stdout);
    let numbers: Vec<u64> = ended.calls.concat().iter().map(|event| event[1..].parse().expect("e1")).collect();
    for item in 0..3 {
        assert!(numbers.iter().filter(|number| *number % 3 == item).is_sorted(), "{numbers:?}");
    }
    assert!(server.calls("ReceiveMessage").len() > 4, "a group in flight gives no more, so rounds are needed");
}

#[tokio::test]
async fn a_letter_that_fails_keeps_its_group_of_a_fifo_queue_waiting() {
    let server = FakeServer::start([]).await;
    for number in 1..=24 {
        let item = ["a", "b"][number as usize % 2];
        server.send(letter(number, item), Some(item));
    }
    let queue = server.url("dead-letters.fifo");
    let flags = ["--queue", &queue, "--attempts", "1", "--batch-size", "1"];
    let ended = Redrive::of("fifo-fails", &server, &flags).env("FAILS", "e1").run().await;
    assert_eq!(ended.ran.code, Some(1), "{}{}", ended.ran.stdout, ended.ran.stderr);
    let odd: Vec<String> = (1..=24).step_by(2).map(|number| format!("e{number}")).collect();
    assert_eq!(ended.left, odd, "the other group goes on to its end");
    let note = "later letters of the items that failed may still wait in the queue, which is FIFO\n";
    assert!(ended.ran.stdout.contains(note), "{}", ended.ran.stdout);
}

#[tokio::test]
async fn letters_that_keep_coming_do_not_keep_the_run_going() {
    let server = FakeServer::start(shuffled(3)).await;
    let queue = server.clone();
    server.on_call(move |called, input| {
        (called == "ReceiveMessage").then(|| {
            queue.send(letter(100 + queue.calls(called).len() as u64, "d"), None);
            let mut answer = queue.good_answer(called, input);
            for message in answer["Messages"].as_array_mut().expect("there is one") {
                if message["Body"].as_str().is_some_and(|body| body.contains("e10")) {
                    // Long after the run began.
                    message["Attributes"]["SentTimestamp"] = "4102444800000".into();
                }
            }
            (200, answer)
        })
    });
    let ended = Redrive::new("trickle", &server, &[]).run().await;
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    assert_eq!(ended.calls.concat(), ["e1", "e2", "e3", "e100", "e101"]);
    assert_eq!(server.calls("ReceiveMessage").len(), 2);
}

#[tokio::test]
async fn messages_stay_hidden_while_they_are_held() {
    let server = FakeServer::start(shuffled(3)).await;
    let go = free_path("redrive-extend-go");
    let run = Redrive::new("extend", &server, &["--visibility", "5"]).env("MODE", "waits").env("GO", &go);
    let extended = async {
        server.called("ChangeMessageVisibilityBatch", 2).await;
        std::fs::write(&go, "").expect("it can be written");
    };
    let (ended, ()) = tokio::join!(run.run(), extended);
    assert_eq!(ended.ran.code, Some(0), "{}{}", ended.ran.stdout, ended.ran.stderr);
    let call = &server.calls("ChangeMessageVisibilityBatch")[0];
    let times: Vec<&Value> =
        call["Entries"].as_array().expect("entries").iter().map(|entry| &entry["VisibilityTimeout"]).collect();
    assert_eq!(times, [5, 5, 5]);
    assert!(ended.left.is_empty());
}
