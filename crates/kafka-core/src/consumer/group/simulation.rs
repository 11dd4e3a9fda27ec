//! Members and modelled coordinators in virtual time: messages are lost, delayed and reordered, members come, leave,
//! die and freeze, coordinators move and fall silent. A failure prints its seed; `GROUP_SIMULATION_SEED` plays it again,
//! and `GROUP_SIMULATION_SCHEDULES` says how many schedules each test plays.
//!
//! What must hold: no partition is read by two members that the coordinator counts in, no generation gives a partition
//! away twice, and when the trouble ends everything is read again. The models know nothing of the machines.

mod classic_model;
mod next_gen_model;
mod player;
mod world;

use std::time::Duration;

use super::assignor::Assignor;
use world::{Model, World};

/// How long trouble lasts.
const TROUBLE: Duration = Duration::from_secs(60);
/// Session timeout, then everything has to be read again within five seconds; and before it, users that are still
/// giving something up and a rebalance that waits for a member that will not come.
const PEACE: Duration = Duration::from_secs(40);

/// So many in every run of the tests; for thousands, set the variable and build with --release.
const SCHEDULES: u64 = 30;

fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("GROUP_SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("GROUP_SIMULATION_SCHEDULES").unwrap_or(SCHEDULES)).collect(),
    }
}

fn play(seed: u64, model: Box<dyn Model>, assignors: &[&[Assignor]]) {
    let mut world = World::new(seed, model, assignors);
    world.cause_trouble(TROUBLE);
    world.settle(PEACE);
}

fn play_classic(assignors: &[&[Assignor]]) {
    for seed in seeds() {
        play(seed, Box::<classic_model::ClassicModel>::default(), assignors);
    }
}

#[test]
fn cooperative_members_come_through_any_trouble() {
    play_classic(&[&[Assignor::CooperativeSticky]]);
}

#[test]
fn eager_members_come_through_any_trouble() {
    play_classic(&[&[Assignor::Range], &[Assignor::Range, Assignor::Sticky]]);
}

#[test]
fn members_that_offer_both_kinds_share_a_group_with_eager_ones() {
    play_classic(&[&[Assignor::CooperativeSticky, Assignor::Range], &[Assignor::Range]]);
}

#[test]
fn members_of_the_new_protocol_come_through_any_trouble() {
    for seed in seeds() {
        play(seed, Box::<next_gen_model::NextGenModel>::default(), &[]);
    }
}
