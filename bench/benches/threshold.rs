//! Threshold keys: key generation and resharing of a whole committee, and the steps of a release.
//! One thread, CPU time; all members' work together.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;

use bench::CpuTime;
use criterion::Criterion;
use nexus_mpc::threshold::release::{Grant, GranteeSecret, Partial};
use nexus_mpc::threshold::tdh2::{DataKey, Label, encrypt};
use nexus_mpc::threshold::{Committee, KeyShare, Seat, Step, dkg, reshare};
use nexus_mpc::{Identity, PacketSecret};
use nexus_types::{Canonical, Digest, MemberId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

type Failure = Box<dyn Error>;

const MEMBERS: u16 = 16;

struct Keys {
    identity: Arc<Identity>,
    packets: PacketSecret,
}

fn keys(rng: &mut ChaCha12Rng) -> Vec<Keys> {
    let identity = |rng: &mut ChaCha12Rng| Arc::new(Identity::generate(rng));
    (0..MEMBERS)
        .map(|_| Keys { identity: identity(rng), packets: PacketSecret::generate(rng) })
        .collect()
}

/// Every member checks the list of seats itself.
fn committee(keys: &[Keys]) -> Result<Arc<Committee>, Failure> {
    let seat =
        |keys: &Keys| Seat { identity: keys.identity.public(), packets: keys.packets.public() };
    let seats: Vec<Seat> = keys.iter().map(seat).collect();
    Ok(Arc::new(Committee::new(seats)?))
}

fn generate(rng: &mut ChaCha12Rng, keys: &[Keys]) -> Result<Vec<KeyShare>, Failure> {
    let (mut members, mut posts) = (Vec::new(), Vec::new());
    for (member, own) in MemberId::all(MEMBERS).zip(keys) {
        let purpose = Digest::of("bench", b"threshold");
        let terms = dkg::Terms { committee: committee(keys)?, purpose, epoch: 0, attempt: 0 };
        let (identity, packets) = (Arc::clone(&own.identity), own.packets.clone());
        let (machine, post) = dkg::Generation::new(terms, member, identity, packets, rng)?;
        members.push(machine);
        posts.push(post);
    }
    loop {
        let (mut next, mut shares) = (Vec::new(), Vec::new());
        for machine in &mut members {
            for post in &posts {
                machine.receive(post)?;
            }
            match machine.close(rng)? {
                Step::Publish(post) => next.push(post),
                Step::Done(outcome) => shares.push(outcome.share),
                Step::Wait | Step::Finished | Step::Restart(_) => {}
            }
        }
        if !shares.is_empty() {
            return Ok(shares);
        }
        posts = next;
    }
}

/// Hands the key of `old` to `new`.
fn hand_over(
    rng: &mut ChaCha12Rng,
    old: &[Keys],
    shares: &[KeyShare],
    new: &[Keys],
) -> Result<usize, Failure> {
    let (from, to) = (committee(old)?, committee(new)?);
    let key = shares.first().ok_or("no shares")?.public().clone();
    let terms = reshare::Terms { key, from, to, attempt: 0 };
    let mut dealers = Vec::new();
    let mut posts = Vec::new();
    for (share, own) in shares.iter().zip(old) {
        let (dealer, post) = reshare::Dealer::new(&terms, share, Arc::clone(&own.identity), rng)?;
        dealers.push(dealer);
        posts.push(post);
    }
    let receiver = |(member, own): (MemberId, &Keys)| {
        let (identity, packets) = (Arc::clone(&own.identity), own.packets.clone());
        reshare::Receiver::new(terms.clone(), member, identity, packets)
    };
    let mut receivers =
        MemberId::all(MEMBERS).zip(new).map(receiver).collect::<Result<Vec<_>, _>>()?;
    loop {
        let (mut next, mut done) = (Vec::new(), 0);
        for dealer in &mut dealers {
            for post in &posts {
                dealer.receive(post)?;
            }
            dealer.close()?;
        }
        for receiver in &mut receivers {
            for post in &posts {
                receiver.receive(post)?;
            }
            match receiver.close()? {
                Step::Publish(post) => next.push(post),
                Step::Done(_) => done += 1,
                Step::Wait | Step::Finished | Step::Restart(_) => {}
            }
        }
        if done > 0 {
            return Ok(done);
        }
        posts = next;
    }
}

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let (old, new) = (keys(&mut rng), keys(&mut rng));
    let shares = generate(&mut rng, &old)?;

    let mut group = criterion.benchmark_group(format!("threshold, committee of {MEMBERS}"));
    group.sample_size(10);
    group.bench_function("key generation", |bencher| {
        bencher.iter(|| generate(&mut rng, &old).map(|shares| shares.len()).unwrap_or_default());
    });
    group.bench_function("resharing", |bencher| {
        bencher.iter(|| hand_over(&mut rng, &old, &shares, &new).unwrap_or_default());
    });
    group.finish();
    release(&mut criterion, &mut rng, &shares)?;
    criterion.final_summary();
    Ok(())
}

fn release(
    criterion: &mut Criterion<CpuTime>,
    rng: &mut ChaCha12Rng,
    shares: &[KeyShare],
) -> Result<(), Failure> {
    let share = shares.first().ok_or("no shares")?;
    let key = share.public();
    let owner = Identity::generate(rng);
    let (dataset, policy) = (Digest::of("bench", b"dataset"), Digest::of("bench", b"policy"));
    let label = Label { dataset, owner: owner.public(), policy };
    let data_key = DataKey::generate(rng);
    let record = encrypt(key, label, &data_key, &owner, rng)?;
    let checked = record.verify(key)?;
    let secret = GranteeSecret::generate(rng);
    let request = Grant::new(Digest::of("bench", b"grant"), &checked, &secret, rng);
    let grant = request.clone().verify(&checked)?;
    let partials =
        shares.iter().map(|share| grant.release(share, rng)).collect::<Result<Vec<_>, _>>()?;
    let bytes = partials.first().ok_or("no partials")?.encode()?;
    let needed = &partials[..usize::from(key.threshold())];

    let mut group = criterion.benchmark_group("threshold release");
    group.bench_function("seal a key", |bencher| {
        bencher.iter(|| encrypt(key, label, &data_key, &owner, rng));
    });
    group.bench_function("verify a record", |bencher| bencher.iter(|| record.verify(key)));
    group.bench_function("verify a grant", |bencher| {
        bencher.iter(|| black_box(&request).clone().verify(&checked).is_ok());
    });
    group.bench_function("partial decryption", |bencher| {
        bencher.iter(|| grant.release(share, rng));
    });
    group.bench_function("decode and verify a partial", |bencher| {
        bencher.iter(|| Partial::decode(&bytes).map(|partial| grant.verify(key, &partial)));
    });
    group.bench_function(format!("verify {} partials at once", needed.len()), |bencher| {
        bencher.iter(|| grant.verify_all(key, needed));
    });
    group.bench_function(format!("combine {} partials", needed.len()), |bencher| {
        bencher.iter(|| grant.combine(key, &secret, needed));
    });
    group.finish();
    Ok(())
}
