//! The transaction coordinator as a table of exchanges.

use super::*;

const TIMEOUT: Duration = Duration::from_secs(60);

fn coordinator() -> (Transactions, Producer, Now) {
    let mut transactions = Transactions::new(Journal::in_memory());
    let producer = transactions.init("x", TIMEOUT, None, 7).unwrap();
    (transactions, producer, Now { instant: Instant::now(), wall_ms: 0 })
}

fn write(transactions: &mut Transactions, producer: Producer, now: Now) {
    transactions.add_partitions("x", producer, [("t".to_owned(), 0)], now).unwrap();
}

#[test]
fn a_second_producer_of_the_same_id_fences_the_first() {
    let (mut transactions, first, now) = coordinator();
    let second = transactions.init("x", TIMEOUT, None, 8).unwrap();
    assert_eq!(second, Producer { id: 7, epoch: 1 });
    let fenced = transactions.add_partitions("x", first, [], now);
    assert_eq!(fenced, Err(ResponseError::ProducerFenced));
}

#[test]
fn committing_names_everything_that_was_added() {
    let (mut transactions, producer, now) = coordinator();
    write(&mut transactions, producer, now);
    let step = transactions.end("x", producer, true, false, 9).unwrap();
    let EndStep::Write(ending, left) = step else { panic!("nothing to write") };
    assert_eq!((ending.commit, ending.partitions.len(), left), (true, 1, producer));
    transactions.complete("x").unwrap();
    assert_eq!(transactions.end("x", producer, true, false, 9), Ok(EndStep::Done(producer)));
    assert_eq!(transactions.end("x", producer, false, false, 9), Err(ResponseError::InvalidTxnState));
}

#[test]
fn under_kip_890_the_producer_leaves_with_a_new_epoch_and_may_repeat_the_old_request() {
    let (mut transactions, producer, now) = coordinator();
    write(&mut transactions, producer, now);
    let step = transactions.end("x", producer, true, true, 9).unwrap();
    let next = Producer { id: 7, epoch: 1 };
    assert!(matches!(step, EndStep::Write(ref ending, left) if left == next && ending.producer == next));
    transactions.complete("x").unwrap();
    assert_eq!(transactions.end("x", producer, true, true, 9), Ok(EndStep::Done(next)));
}

#[test]
fn an_empty_commit_is_an_error_but_an_empty_abort_renews_the_epoch() {
    let (mut transactions, producer, _) = coordinator();
    assert_eq!(transactions.end("x", producer, true, true, 9), Err(ResponseError::InvalidTxnState));
    let step = transactions.end("x", producer, false, true, 9).unwrap();
    assert!(matches!(step, EndStep::Write(_, Producer { id: 7, epoch: 1 })));
}

#[test]
fn used_up_epochs_lead_to_a_new_producer_id() {
    let (mut transactions, _, _) = coordinator();
    if let Some(transaction) = transactions.by_id.get_mut("x") {
        transaction.epoch = LAST_EPOCH;
    }
    assert_eq!(transactions.init("x", TIMEOUT, None, 99), Ok(Producer { id: 99, epoch: 0 }));
}

#[test]
fn an_open_transaction_expires_and_a_finished_one_does_not() {
    let (mut transactions, producer, now) = coordinator();
    assert_eq!(transactions.next_deadline(), None);
    write(&mut transactions, producer, now);
    assert_eq!(transactions.expired(now.instant + TIMEOUT), [("x".to_owned(), producer)]);
    transactions.end("x", producer, false, false, 9).unwrap();
    transactions.complete("x").unwrap();
    assert!(transactions.expired(now.instant + TIMEOUT).is_empty());
}

#[test]
fn a_decision_that_was_not_carried_out_is_found_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let journal = || Journal::open(&dir.path().join("journal"), false).unwrap();
    let mut transactions = Transactions::new(journal());
    let producer = transactions.init("x", TIMEOUT, None, 7).unwrap();
    write(&mut transactions, producer, Now { instant: Instant::now(), wall_ms: 0 });
    let EndStep::Write(ending, _) = transactions.end("x", producer, true, true, 9).unwrap() else {
        panic!("nothing to write")
    };
    let mut restored = Transactions::new(journal());
    restored.restore().unwrap();
    assert_eq!(restored.unfinished(), [ending]);
}
