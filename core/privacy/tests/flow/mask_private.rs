use nexus_privacy::flow::*;

fn early<M: Masker>(a: Private<Vec<f64>>, masker: &mut M) {
    let _ = a.mask(masker);
}

fn main() {}
