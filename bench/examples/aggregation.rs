//! `aggregation [OWNERS VALUES PACKING]`: one secure sum with a committee of four, a tenth of the
//! owners missing, on one thread; prints what each party's part costs in processor time, and
//! the coordinator's in all: contributions and verdicts, votes and answers, opening. Without
//! arguments, the sums of the README.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use bench::{SecureSum, Size, SumBenchError};
use nexus_types::OwnerId;
use rustix::time::{ClockId, clock_gettime};

const MEMBERS: u16 = 4;
const README: [(u32, u32, u8); 3] =
    [(1_000, 1_000_000, 2), (1_000, 1_000_000, 1), (100, 100_000, 2)];

fn main() -> ExitCode {
    let arguments: Result<Vec<u32>, _> =
        std::env::args().skip(1).map(|text| text.parse()).collect();
    let sizes = match arguments.as_deref() {
        Ok([]) => README.to_vec(),
        Ok(&[owners, values, packing]) => {
            vec![(owners, values, u8::try_from(packing).unwrap_or(0))]
        }
        _ => {
            println!("aggregation [OWNERS VALUES PACKING]");
            return ExitCode::from(2);
        }
    };
    println!(
        "| owners | values | per coefficient | owner ms | upload B per value | ingest owners/s | member ms per owner | votes and answers ms | open ms | server ms in all |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (owners, values, packing) in sizes {
        if let Err(error) = measure(Size { owners, values, packing, members: MEMBERS }) {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Adds the processor seconds that `work` takes to `total`.
fn timed<T>(total: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = seconds();
    let result = work();
    *total += seconds() - start;
    result
}

fn measure(size: Size) -> Result<(), SumBenchError> {
    let mut sum = SecureSum::new(size)?;
    let (mut owner, mut ingest, mut members) = (0.0, 0.0, 0.0);
    let (mut votes, mut answers, mut open) = (0.0, 0.0, 0.0);
    let (mut upload, mut expected) = (0, vec![0; size.values as usize]);
    let present: Vec<_> = OwnerId::all(size.owners).filter(|id| id.0 % 10 != 3).collect();
    for &id in &present {
        let values = sum.values();
        expected.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
        let message = timed(&mut owner, || sum.contribute(id, &values))?;
        upload += message.len();
        // A message from the network is in a buffer of the coordinator's.
        let message = message.to_vec();
        let packets = timed(&mut ingest, || sum.arrive(id, message))?;
        let verdicts = timed(&mut members, || sum.members(&packets))?;
        timed(&mut ingest, || sum.replies(&verdicts))?;
    }
    for _ in 0..2 {
        let questions = timed(&mut votes, || sum.close())?;
        let answers = timed(&mut answers, || sum.members(&questions))?;
        timed(&mut votes, || sum.replies(&answers))?;
    }
    let opened = timed(&mut open, || SecureSum::open(&mut sum.collector))?;
    assert_eq!(opened.sum, expected, "the sum is exact");
    let count = present.len() as f64;
    println!(
        "| {} | {} | {} | {:.1} | {:.3} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} |",
        size.owners,
        size.values,
        size.packing,
        1e3 * owner / count,
        upload as f64 / count / f64::from(size.values),
        count / ingest,
        1e3 * members / count / f64::from(size.members),
        1e3 * (votes + answers),
        1e3 * open,
        1e3 * (ingest + votes + open),
    );
    Ok(())
}

fn seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
