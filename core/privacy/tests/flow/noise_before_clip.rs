use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::{grid::Grid, shares::NoisePlan};
use nexus_types::CryptoRng;

fn early(a: Private<Vec<f64>>, ticket: BudgetTicket, grid: &Grid, plan: &NoisePlan, rng: &mut dyn CryptoRng) {
    let _ = a.noise(ticket, grid, plan, rng);
}

fn main() {}
