use nexus_privacy::flow::*;
use nexus_privacy::mechanisms::{grid::Grid, shares::NoisePlan};
use nexus_types::CryptoRng;

fn twice(a: Clipped, b: Clipped, ticket: BudgetTicket, grid: &Grid, plan: &NoisePlan, rng: &mut dyn CryptoRng) {
    let _ = a.noise(ticket, grid, plan, rng);
    let _ = b.noise(ticket, grid, plan, rng);
}

fn main() {}
