//! A round of ten owners, on one thread and on two, and the messages of a round.

use bench::{BenchError, Federation, models};
use criterion::{Criterion, Throughput};
use nexus_models::Network;
use nexus_training::{Task, TaskId, TrainTask};
use nexus_types::{Canonical, Digest, JobId, Round, Seed};

fn main() -> Result<(), BenchError> {
    let mut criterion = Criterion::default().configure_from_args();
    rounds(&mut criterion)?;
    messages(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn rounds(criterion: &mut Criterion) -> Result<(), BenchError> {
    let federation = Federation::new(512)?;
    federation.round(1)?;
    let mut group = criterion.benchmark_group("round of ten owners");
    group.throughput(Throughput::Elements(federation.rows() as u64));
    for threads in [1, 2] {
        group.bench_function(format!("threads {threads}"), |bencher| {
            bencher.iter(|| federation.round(threads));
        });
    }
    group.finish();
    Ok(())
}

fn messages(criterion: &mut Criterion) -> Result<(), BenchError> {
    let [(_, spec), _] = models();
    let parameters = Network::<f32>::new(&spec)?.initial(&Seed::from_number(1));
    let job = JobId(Digest::of("bench", b"job"));
    let id = TaskId::first(Round(1));
    let (control, accepted, summary) = (Vec::new(), Vec::new(), Vec::new());
    let task =
        Task::Train(TrainTask { job, id, parameters, control, accepted, summary, manifest: None });
    let bytes = task.encode().unwrap_or_default();
    let mut group = criterion.benchmark_group("task message");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| task.encode()));
    group.bench_function("decode", |bencher| bencher.iter(|| Task::decode(&bytes)));
    group.finish();
    Ok(())
}
