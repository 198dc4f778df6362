//! A round of ten owners, on one thread and on two, and the messages of a round.

use bench::{BenchError, first_task, images, models, plain_sgd};
use criterion::{Criterion, Throughput};
use nexus_learning::{Length, parallel, train_local};
use nexus_models::Network;
use nexus_models::data::Dataset;
use nexus_training::{Task, TaskId, TrainTask};
use nexus_types::{Canonical, Digest, JobId, Round, Seed};

const OWNERS: u64 = 10;
const ROWS: usize = 512;

fn main() -> Result<(), BenchError> {
    let mut criterion = Criterion::default().configure_from_args();
    rounds(&mut criterion)?;
    messages(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn rounds(criterion: &mut Criterion) -> Result<(), BenchError> {
    let seed = Seed::from_number(1);
    let [(_, spec), _] = models();
    let network = Network::new(&spec)?;
    let owners: Vec<Dataset> = (0..OWNERS)
        .map(|owner| images(ROWS, &seed.derive("owner", &[owner])))
        .collect::<Result<_, _>>()?;
    let (task, config) = (first_task(&network, &seed), plain_sgd(Length::Epochs(1), 32));
    train_local(&network, &owners[0], &config, &task, &seed)?;
    let mut group = criterion.benchmark_group("round of ten owners");
    group.throughput(Throughput::Elements(OWNERS * ROWS as u64));
    for threads in [1, 2] {
        group.bench_function(format!("threads {threads}"), |bencher| {
            bencher.iter(|| {
                parallel::map(&owners, threads, |rows| {
                    train_local(&network, rows, &config, &task, &seed)
                })
            });
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
    let task = Task::Train(TrainTask { job, id, parameters, control, accepted, summary });
    let bytes = task.encode().unwrap_or_default();
    let mut group = criterion.benchmark_group("task message");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| bencher.iter(|| task.encode()));
    group.bench_function("decode", |bencher| bencher.iter(|| Task::decode(&bytes)));
    group.finish();
    Ok(())
}
