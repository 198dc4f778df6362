//! `he_aggregation VALUES ROUNDS`: sums of encrypted vectors on one thread; prints a line of JSON for
//! each way to do it, with medians of processor time. `bench/peers/he_aggregation.py` does the same in
//! TenSEAL.
//!
//! Values have 16 bits, and there is room for 1,024 clients. `ring` is under one public key, `shared`
//! under a secret key that clients share, `threshold` under a key of five members, three of whom
//! open. With the feature `paillier` there is `paillier`, from a few values and scaled.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;
use std::sync::Arc;

use bench::BenchError;
use nexus_he::additive::{AdditiveHe, Ring, Sum, Terms};
use nexus_he::threshold::{self, Effect, Event, Group, Member, Partial};
use nexus_types::{Digest, MemberId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};

/// The largest magnitude of a value of 16 bits with its sign.
const BOUND: u64 = 32_767;
const CLIENTS: u32 = 1024;
/// Vectors that a server adds at once.
const MANY: usize = 8;

fn main() -> ExitCode {
    let number =
        |at, default| std::env::args().nth(at).map_or(Some(default), |it| it.parse::<usize>().ok());
    let (Some(values), Some(rounds)) = (number(1, 1_000_000), number(2, 7)) else {
        println!("he_aggregation VALUES ROUNDS");
        return ExitCode::from(2);
    };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let done = alone(values, rounds, &mut rng).and_then(|()| opened(values, rounds, &mut rng));
    #[cfg(feature = "paillier")]
    let done = done.and_then(|()| classic(values, &mut rng));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Processor seconds of this process.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn draw(values: usize, rng: &mut ChaCha12Rng) -> Vec<i64> {
    (0..values).map(|_| i64::from(rng.next_u32() >> 16) % 65_535 - 32_767).collect()
}

/// Medians by name.
#[derive(Default)]
struct Times(Vec<(&'static str, Vec<f64>)>);

impl Times {
    fn of<T, E>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.share(1, name, work)
    }

    /// The time of one of `count` that are done together.
    fn share<T, E>(
        &mut self,
        count: usize,
        name: &'static str,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let before = now();
        let done = work();
        let time = 1e3 * (now() - before) / count as f64;
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => times.push(time),
            None => self.0.push((name, vec![time])),
        }
        done
    }

    fn print(self, scheme: &str, values: usize, bytes: usize) {
        let median = |(name, mut times): (&str, Vec<f64>)| {
            times.sort_by(f64::total_cmp);
            format!(r#""{name}_ms": {:.3}"#, times[times.len() / 2])
        };
        let times: Vec<String> = self.0.into_iter().map(median).collect();
        println!(
            r#"{{"scheme": "{scheme}", "values": {values}, {}, "bytes_per_value": {:.3}}}"#,
            times.join(", "),
            bytes as f64 / values as f64
        );
    }
}

fn alone(values: usize, rounds: usize, rng: &mut ChaCha12Rng) -> Result<(), BenchError> {
    let ring = Ring::new(Terms::new(BOUND, CLIENTS, values)?)?;
    let (secret, public) = ring.generate(rng)?;
    let own = draw(values, rng);
    let mut sum = ring.encrypt(&public, &own, rng)?;
    let (mut times, mut shared) = (Times::default(), Times::default());
    for _ in 0..rounds {
        let sealed = times.of("encrypt", || ring.encrypt(&public, &own, rng))?;
        let bytes = times.of("write", || ring.write(&sealed))?;
        let read = times.of("read", || ring.read(&bytes))?;
        let before = sum.clone();
        times.of("add", || ring.add(&mut sum, &read))?;
        // Eight clients at once, a client's part.
        let many = vec![read; MANY];
        let mut total = before;
        times.share(MANY, "add_many", || ring.add_all(&mut total, &many))?;
        times.of("decrypt", || ring.decrypt(&secret, &sum))?;
        let sealed = shared.of("encrypt", || ring.encrypt_shared(&secret, &own, rng))?;
        let bytes = shared.of("write", || ring.write_seeded(&sealed))?;
        let read = shared.of("read", || ring.read(&bytes))?;
        shared.of("add", || ring.add(&mut sum, &read))?;
    }
    let [whole, seeded] = ring.sizes();
    times.print("ring", values, whole);
    shared.print("shared", values, seeded);
    Ok(())
}

/// Values that Paillier's scheme encrypts here.
#[cfg(feature = "paillier")]
const FEW: usize = 512;

#[cfg(feature = "paillier")]
fn classic(values: usize, rng: &mut ChaCha12Rng) -> Result<(), BenchError> {
    let scheme = nexus_he::additive::Paillier::new(Terms::new(BOUND, CLIENTS, FEW)?)?;
    let (secret, public) = scheme.generate(rng)?;
    let own = draw(FEW, rng);
    let mut times = Times::default();
    for _ in 0..3 {
        let mut sum = times.of("encrypt", || scheme.encrypt(&public, &own, rng))?;
        let other = sum.clone();
        times.of("add", || scheme.add(&mut sum, &other))?;
        times.of("decrypt", || scheme.decrypt(&secret, &sum))?;
    }
    let scale = values as f64 / FEW as f64;
    times.0.iter_mut().for_each(|(_, times)| times.iter_mut().for_each(|time| *time *= scale));
    times.print("paillier", FEW, scheme.bytes());
    Ok(())
}

fn opened(values: usize, rounds: usize, rng: &mut ChaCha12Rng) -> Result<(), BenchError> {
    let session = Digest::of("bench", b"threshold");
    let terms = threshold::Terms::new(session, 5, 3, 1, Terms::new(BOUND, CLIENTS, values)?)?;
    let group = Arc::new(Group::new(terms)?);
    let mut members = Vec::new();
    let mut waiting = Vec::new();
    for id in MemberId::all(5) {
        let (member, effects) = Member::new(&group, id, rng)?;
        members.push(member);
        waiting.push((id, effects));
    }
    carry(&mut members, waiting, rng)?;
    let key = members
        .iter()
        .find_map(|it| it.public().cloned())
        .ok_or(threshold::ThresholdError::NoKey)?;
    let (ring, own) = (group.ring(), draw(values, rng));
    let mut times = Times::default();
    for opening in 0..rounds as u64 {
        let mut sum: Sum = times.of("encrypt", || ring.encrypt(&key, &own, rng))?;
        let other = sum.clone();
        times.of("add", || ring.add(&mut sum, &other))?;
        let mut waiting = Vec::new();
        for member in &mut members {
            let event = Event::Prepare { opening };
            waiting.push((member.id(), times.of("prepare", || member.step(event, rng))?));
        }
        carry(&mut members, waiting, rng)?;
        let mut partials: Vec<Partial> = Vec::new();
        for member in members.iter_mut().rev().take(3) {
            let event = Event::Open { opening, sum: &sum };
            let effects = times.of("share", || member.step(event, rng))?;
            partials.extend(effects.into_iter().filter_map(released));
        }
        let got = times.of("combine", || group.combine(&sum, &partials))?;
        assert!(got.iter().zip(&own).all(|(got, own)| *got == 2 * own), "the sum is exact");
    }
    times.print("threshold", values, ring.bytes());
    Ok(())
}

fn released(effect: Effect) -> Option<Partial> {
    if let Effect::Release(partial) = effect { Some(partial) } else { None }
}

/// Carries messages between members until there are none.
fn carry(
    members: &mut [Member],
    mut waiting: Vec<(MemberId, Vec<Effect>)>,
    rng: &mut ChaCha12Rng,
) -> Result<(), BenchError> {
    while let Some((from, effects)) = waiting.pop() {
        for effect in effects {
            if let Effect::Publish(bytes) = &effect {
                for member in members.iter_mut().filter(|member| member.id() != from) {
                    let event = Event::Published { from, bytes };
                    waiting.insert(0, (member.id(), member.step(event, rng)?));
                }
            } else if let Effect::Send { to, bytes } = &effect {
                let event = Event::Received { from, bytes };
                if let Some(member) = members.get_mut(to.index()) {
                    waiting.insert(0, (*to, member.step(event, rng)?));
                }
            }
        }
    }
    Ok(())
}
