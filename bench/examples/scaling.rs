//! `scaling`: a round of ten owners on one thread and on two, 41 times in turn; prints the medians
//! and their ratio. In turn, because a shared machine changes its speed while one looks.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use bench::{BenchError, Federation};
use rustix::time::{ClockId, clock_gettime};

const TIMES: usize = 41;

fn main() -> Result<(), BenchError> {
    let federation = Federation::new(512)?;
    federation.round(2)?;
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for (threads, seconds) in [1, 2].into_iter().zip(&mut seconds) {
            let begun = now();
            federation.round(threads)?;
            seconds.push(now() - begun);
        }
    }
    let [one, two] = seconds.map(median);
    println!("1 thread {:.1} ms, 2 threads {:.1} ms: {:.2}x", one * 1e3, two * 1e3, one / two);
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn now() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
