use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::{grid::Grid, shares::NoisePlan};
use nexus_types::CryptoRng;

fn free(a: Clipped, grid: &Grid, plan: &NoisePlan, rng: &mut dyn CryptoRng) {
    let _ = a.noise(grid, plan, rng);
}

fn main() {}
