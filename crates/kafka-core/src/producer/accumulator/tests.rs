//! The accumulator by hand: when batches leave, what is refused, where records without a key go.

use super::*;

fn accumulator(batch_bytes: usize, buffer_bytes: usize, partitions: usize) -> Accumulator {
    let limits = Limits { batch_bytes, buffer_bytes, record_bytes: 5000, linger: Duration::from_millis(5) };
    let mut made = Accumulator::new(limits, Partitioner::Murmur2, fastrand::Rng::with_seed(3));
    made.topic(&"t".into(), partitions, (0..i32::try_from(partitions).unwrap()).collect());
    made
}

fn append(
    to: &mut Accumulator,
    partition: Option<i32>,
    bytes: usize,
    now: Instant,
) -> Result<Taken, Refusal> {
    let value = vec![b'x'; bytes];
    let record = RecordRef { value: Some(&value), ..RecordRef::default() };
    to.append(0, partition, &record, (now, 1_000), None)
}

#[test]
fn a_batch_leaves_when_it_is_full_and_not_before_it_lingered_otherwise() {
    let (now, slot) = (Instant::now(), Slot { topic: 0, partition: 0 });
    let mut accumulator = accumulator(1000, 1 << 20, 1);
    append(&mut accumulator, Some(0), 500, now).unwrap();
    assert_eq!(accumulator.due(slot, now), None);
    assert!(accumulator.due(slot, now + Duration::from_millis(5)).is_some());
    append(&mut accumulator, Some(0), 500, now).unwrap();
    assert!(accumulator.due(slot, now).is_some(), "the second record did not fit");
    assert_eq!(accumulator.take(slot).map(|batch| (batch.id, batch.count)), Some((0, 1)));
    assert_eq!(accumulator.due(slot, now), None);
}

#[test]
fn records_without_a_key_fill_one_batch_before_they_move_on() {
    let now = Instant::now();
    let mut accumulator = accumulator(2000, 1 << 20, 6);
    let placed: Vec<i32> =
        (0..100).map(|_| append(&mut accumulator, None, 60, now).unwrap().partition).collect();
    let moves = placed.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((3..=6).contains(&moves), "100 records in batches of about 20: {placed:?}");
}

#[test]
fn a_full_buffer_refuses_and_lets_what_lingers_leave() {
    let (now, slot) = (Instant::now(), Slot { topic: 0, partition: 0 });
    let mut accumulator = accumulator(4000, 1000, 1);
    append(&mut accumulator, Some(0), 800, now).unwrap();
    assert_eq!(append(&mut accumulator, Some(0), 800, now), Err(Refusal::NoRoom));
    assert!(accumulator.due(slot, now).is_some());
    let batch = accumulator.take(slot).unwrap();
    accumulator.release(batch.charged);
    assert_eq!(accumulator.used(), 0, "everything that was charged comes back");
    append(&mut accumulator, Some(0), 800, now).unwrap();
}

#[test]
fn a_record_too_large_or_for_no_partition_is_refused() {
    let now = Instant::now();
    let mut accumulator = accumulator(1000, 1 << 20, 2);
    assert!(matches!(append(&mut accumulator, Some(0), 6000, now), Err(Refusal::TooLarge(_))));
    assert_eq!(append(&mut accumulator, Some(2), 1, now), Err(Refusal::NoSuchPartition(2)));
    assert_eq!(accumulator.used(), 0);
}

#[test]
fn a_flush_lets_batches_leave_that_were_begun_before_it() {
    let (now, slot) = (Instant::now(), Slot { topic: 0, partition: 0 });
    let mut accumulator = accumulator(1000, 1 << 20, 1);
    append(&mut accumulator, Some(0), 5, now).unwrap();
    assert_eq!(accumulator.flush(), 1);
    assert!(accumulator.due(slot, now).is_some());
    accumulator.take(slot);
    append(&mut accumulator, Some(0), 5, now).unwrap();
    assert_eq!(accumulator.due(slot, now), None);
}

#[test]
fn the_memory_of_a_batch_is_used_again_once_nobody_else_holds_it() {
    let now = Instant::now();
    let mut accumulator = accumulator(100_000, 1 << 20, 1);
    let slot = Slot { topic: 0, partition: 0 };
    let fill = |accumulator: &mut Accumulator| {
        for _ in 0..90 {
            append(accumulator, Some(0), 1000, now).unwrap();
        }
        Bytes::from(accumulator.take(slot).unwrap().bytes)
    };
    let (first, held) = (fill(&mut accumulator), fill(&mut accumulator));
    let (first_at, held_at, other_hold) = (first.as_ptr(), held.as_ptr(), held.clone());
    accumulator.keep(held);
    accumulator.keep(first);
    assert_eq!(fill(&mut accumulator).as_ptr(), first_at);
    assert_ne!(fill(&mut accumulator).as_ptr(), held_at);
    drop(other_hold);
}
