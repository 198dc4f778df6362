//! What the stages of `nexus_privacy::flow` cost, in instructions: the same steps with them and
//! without. Without, both vectors are wiped by hand, as the stages do.
//!
//! ```sh
//! cargo build --release -p bench --example flow_cost
//! for how in wiped typed; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/flow_cost $how
//! done
//! ```

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement")]

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use nexus_privacy::flow::{Label, Masker, Private, Waiver};
use nexus_privacy::mechanisms::clip::Clip;
use nexus_privacy::mechanisms::grid::{Grid, Room};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroize;

/// Values of an update: a network of 784-256-10.
const VALUES: usize = 203_530;
const ROUNDS: u32 = 20;

/// Takes the values as they are.
struct Take(Vec<i64>);

impl Masker for Take {
    type Error = Infallible;

    fn mask(&mut self, values: &[i64]) -> Result<Arc<[u8]>, Infallible> {
        self.0.copy_from_slice(values);
        Ok(Arc::new([]))
    }
}

fn wiped(mut vector: Vec<f64>, (clip, grid): (Clip, &Grid), take: &mut Take) {
    clip.apply(&mut vector);
    let mut integers = grid.round_whole(&vector).expect("a vector of this length");
    vector.zeroize();
    take.0.copy_from_slice(&integers);
    integers.zeroize();
}

fn typed(vector: Vec<f64>, (clip, grid): (Clip, &Grid), take: &mut Take) {
    let clipped = Private::new(vector, Arc::new(Label::public())).clip_whole(clip);
    let waiver = Waiver::of_job_without_privacy();
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let noised = clipped.unprotected(waiver, grid, &mut rng).expect("a fitting grid");
    let Ok(masked) = noised.mask(take);
    black_box(masked.message().len());
}

fn main() {
    let room = Room { rows: 256.0, sigma: 1.0, limit: 1 << 40 };
    let grid = Grid::new(1.0, VALUES, room).expect("a grid with room");
    let clip = Clip::new(1.0).expect("a norm in range");
    let mut take = Take(vec![0; VALUES]);
    let run = if std::env::args().any(|how| how == "typed") { typed } else { wiped };
    for _ in 0..ROUNDS {
        run(vec![0.01; VALUES], (clip, &grid), &mut take);
        black_box(take.0[0]);
    }
    println!("{ROUNDS} x {VALUES} values");
}
