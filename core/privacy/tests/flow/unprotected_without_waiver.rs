use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::grid::Grid;
use nexus_types::CryptoRng;

fn free(a: Clipped, grid: &Grid, rng: &mut dyn CryptoRng) {
    let _ = a.unprotected(grid, rng);
}

fn main() {}
