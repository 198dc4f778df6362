//! A secure sum with a committee of four, part by part, on one thread, in processor time. What
//! the coordinator does to open a sum does not depend on the number of owners.

use std::sync::Arc;

use bench::{CpuTime, SecureSum, Size, SumBenchError};
use criterion::{BatchSize, Criterion, Throughput};
use nexus_mpc::aggregation::{Collector as _, Outgoing, Peer};
use nexus_types::OwnerId;

/// Owners whose messages are taken in.
const PRESENT: u32 = 8;
const SIZES: [Size; 3] = [
    Size { owners: 1_000, values: 1_000_000, packing: 2, members: 4 },
    Size { owners: 1_000, values: 1_000_000, packing: 1, members: 4 },
    Size { owners: 100, values: 100_000, packing: 2, members: 4 },
];

/// A round of the job that `nexus run` has without a file.
const DEFAULT_JOB: Size = Size { owners: 10, values: 4_810, packing: 1, members: 4 };

fn main() -> Result<(), SumBenchError> {
    let mut criterion = Criterion::default().with_measurement(CpuTime).configure_from_args();
    round(&mut criterion, DEFAULT_JOB)?;
    for size in SIZES {
        parts(&mut criterion, size)?;
    }
    criterion.final_summary();
    Ok(())
}

/// A sum from the owners' values to their sum, all parties together.
fn round(criterion: &mut Criterion<CpuTime>, size: Size) -> Result<(), SumBenchError> {
    let Size { owners, values, members, .. } = size;
    let name = format!("whole sum of {owners} owners, {values} values, {members} members");
    let mut sum = SecureSum::new(size)?;
    let update = sum.values();
    criterion.bench_function(&name, |bencher| {
        let fresh = || SecureSum::new(size);
        let run = |sum: &mut Result<SecureSum, _>| {
            let Ok(sum) = sum else { return Ok(None) };
            for id in OwnerId::all(owners) {
                let message = sum.contribute(id, &update)?;
                sum.accept(id, &message)?;
            }
            sum.certify()?;
            SecureSum::open(&mut sum.collector).map(Some)
        };
        bencher.iter_batched_ref(fresh, run, BatchSize::PerIteration);
    });
    Ok(())
}

fn parts(criterion: &mut Criterion<CpuTime>, size: Size) -> Result<(), SumBenchError> {
    let Size { owners, values, packing, .. } = size;
    let name = format!("sum of {owners} owners, {values} values, {packing} per coefficient");
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    let mut sum = SecureSum::new(size)?;
    let update = sum.values();
    group.bench_function("owner", |bencher| {
        bencher.iter(|| sum.contribute(OwnerId(0), &update));
    });

    let (empty, mut messages) = (sum.collector.clone(), Vec::new());
    for id in OwnerId::all(PRESENT) {
        let message = sum.contribute(id, &update)?;
        let packets = sum.collector.receive(Peer::Owner(id), &message)?;
        let verdicts = sum.members(&packets)?;
        sum.replies(&verdicts)?;
        messages.push((Peer::Owner(id), message));
        messages.extend(verdicts.into_iter().map(|Outgoing { to, message }| (to, message)));
    }
    group.throughput(Throughput::Elements(PRESENT.into()));
    group.bench_function("ingest", |bencher| {
        let take_in = |collector: &mut _| take_in(collector, &messages);
        bencher.iter_batched_ref(|| empty.clone(), take_in, BatchSize::PerIteration);
    });

    sum.certify()?;
    group.throughput(Throughput::Elements(values.into()));
    group.bench_function("open", |bencher| {
        let collector = || sum.collector.clone();
        bencher.iter_batched_ref(collector, SecureSum::open, BatchSize::PerIteration);
    });
    group.finish();
    Ok(())
}

/// Messages of owners and the members' verdicts on their packets.
fn take_in(
    collector: &mut nexus_mpc::aggregation::nx::Collector,
    messages: &[(Peer, Arc<[u8]>)],
) -> Result<(), SumBenchError> {
    for (from, message) in messages {
        collector.receive(*from, message)?;
    }
    Ok(())
}
