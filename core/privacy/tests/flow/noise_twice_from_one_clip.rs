use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::{grid::Grid, shares::NoisePlan};
use nexus_types::CryptoRng;

fn twice(a: Clipped, t: BudgetTicket, u: BudgetTicket, grid: &Grid, plan: &NoisePlan, rng: &mut dyn CryptoRng) {
    let _ = a.noise(t, grid, plan, rng);
    let _ = a.noise(u, grid, plan, rng);
}

fn main() {}
